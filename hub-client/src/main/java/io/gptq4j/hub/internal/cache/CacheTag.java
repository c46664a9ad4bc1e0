package io.gptq4j.hub.internal.cache;

import java.io.IOException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

/** CACHEDIR.TAG, which keeps backup programs out of a folder (bford.info/cachedir). */
final class CacheTag {
    private static final String CONTENT = """
            Signature: 8a477f597d28d172789f06886806bc55
            # This folder is a cache of files from a Hugging Face Hub.
            # Everything in it can be fetched again. About such tags, see
            # https://bford.info/cachedir/
            """;

    private CacheTag() {}

    static void ensure(Path folder) throws IOException {
        Path tag = folder.resolve("CACHEDIR.TAG");
        if (!Files.exists(tag)) {
            try {
                Files.createDirectories(folder);
                Files.writeString(tag, CONTENT, StandardOpenOption.CREATE_NEW);
            } catch (FileAlreadyExistsException another) {
                return; // another process was faster
            }
        }
    }
}
