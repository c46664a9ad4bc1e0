package io.gptq4j.hub.internal.upload;

import io.gptq4j.hub.internal.io.ContentHash;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Base64;
import org.jspecify.annotations.Nullable;

/** A file that is to be committed. Its hashes are computed once, when asked for. Safe for concurrent use. */
final class LocalContent {
    private static final int SAMPLE = 512;

    private final String path;
    private final Path source;
    private final long size;
    private @Nullable String sha256;
    private @Nullable String gitId;

    LocalContent(String path, Path source) throws IOException {
        this.path = path;
        this.source = source;
        size = Files.size(source);
    }

    /** Its path in the repository. */
    String path() {
        return path;
    }

    /** Where it is on this disk. */
    Path source() {
        return source;
    }

    /** Its bytes. */
    long size() {
        return size;
    }

    /** Its first 512 bytes in base64, by which the Hub tells text from binary data. */
    String sample() throws IOException {
        try (var in = Files.newInputStream(source)) {
            return Base64.getEncoder().encodeToString(in.readNBytes(SAMPLE));
        }
    }

    /** All of it as text; what is no UTF-8 is replaced, because it is the Hub that judges it. */
    String text() throws IOException {
        return new String(Files.readAllBytes(source), StandardCharsets.UTF_8);
    }

    /** The name of its content in LFS storage. */
    synchronized String sha256() throws IOException {
        if (sha256 == null) {
            sha256 = ContentHash.sha256().of(source);
        }
        return sha256;
    }

    /** The name of its content in git. */
    synchronized String gitId() throws IOException {
        if (gitId == null) {
            gitId = ContentHash.gitBlob(size).of(source);
        }
        return gitId;
    }
}
