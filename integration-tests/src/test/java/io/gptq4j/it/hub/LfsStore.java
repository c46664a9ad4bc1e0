package io.gptq4j.it.hub;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;

/** The objects of all repositories by sha256; each lies in a file of its own. */
final class LfsStore {
    private final Path directory;
    private final AtomicLong temporaries = new AtomicLong();
    private final Map<String, Content> objects = new ConcurrentHashMap<>();

    LfsStore(Path dataDirectory) throws IOException {
        directory = Files.createDirectories(dataDirectory.resolve("lfs"));
    }

    @Nullable
    Content get(String sha256) {
        return objects.get(sha256);
    }

    /** Makes a file of the caller's an object without copying it. */
    HubFile adopt(Path file) throws IOException {
        Content content = Content.of(file);
        String sha256 = Git.sha256(content);
        objects.putIfAbsent(sha256, content);
        return HubFile.lfs(sha256, content);
    }

    HubFile put(byte[] bytes) throws IOException {
        String sha256 = Hex.sha256Of(bytes);
        Path file = newFile();
        Files.write(file, bytes);
        return HubFile.lfs(sha256, keep(file, sha256));
    }

    /** A name for a file that becomes an object or is deleted. */
    Path newFile() {
        return directory.resolve("incoming-" + temporaries.incrementAndGet());
    }

    /** Moves a finished file in; its sha256 has been checked. */
    Content keep(Path file, String sha256) throws IOException {
        Path target = directory.resolve(sha256);
        Files.move(file, target, StandardCopyOption.REPLACE_EXISTING, StandardCopyOption.ATOMIC_MOVE);
        Content content = Content.of(target);
        objects.put(sha256, content);
        return content;
    }
}
