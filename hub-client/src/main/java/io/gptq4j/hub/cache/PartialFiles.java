package io.gptq4j.hub.cache;

import java.io.Closeable;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Files of unfinished downloads: {@code blobs/<etag>.incomplete}, with one more word before the ending for whatever belongs
 * to it. While a download runs, {@code .locks/<repository folder>/<etag>.lock} is held.
 */
final class PartialFiles {
    private static final String ENDING = ".incomplete";

    private PartialFiles() {}

    /** Those that no download is at. */
    static List<Path> abandoned(Path cache) throws IOException {
        List<Path> abandoned = new ArrayList<>();
        for (Path repo : Scanner.repoFolders(cache)) {
            Path blobs = repo.resolve("blobs");
            if (Scanner.repoOf(String.valueOf(repo.getFileName())).isEmpty()
                    || !Files.isDirectory(blobs)
                    || !blobs.toRealPath().startsWith(cache.toRealPath())) {
                continue;
            }
            for (Path file : Scanner.children(blobs)) {
                if (file.toString().endsWith(ENDING) && Files.isRegularFile(file, LinkOption.NOFOLLOW_LINKS)) {
                    try (Hold hold = Hold.tryOn(cache, file)) {
                        if (hold.isFree) {
                            abandoned.add(file);
                        }
                    }
                }
            }
        }
        return abandoned;
    }

    /** Deletes one unless a download is at it; while it goes, none can begin. Tells how many bytes that freed. */
    static long deleteIfAbandoned(Path cache, Path file) throws IOException {
        try (Hold hold = Hold.tryOn(cache, file)) {
            if (!hold.isFree || !Files.isRegularFile(file, LinkOption.NOFOLLOW_LINKS)) {
                return 0;
            }
            long size = Files.size(file);
            return Files.deleteIfExists(file) ? size : 0;
        }
    }

    /** The lock of a partial file, or the knowledge that somebody else has it. */
    private record Hold(@Nullable FileChannel channel, boolean isFree) implements Closeable {
        static Hold tryOn(Path cache, Path file) throws IOException {
            String name = String.valueOf(file.getFileName());
            Path locks = cache.resolve(".locks")
                    .resolve(String.valueOf(file.resolve("../..").normalize().getFileName()));
            // An etag may have dots, too: the longest one that has a lock is meant.
            Path lockFile = null;
            for (int dot = name.indexOf('.'); dot >= 0; dot = name.indexOf('.', dot + 1)) {
                Path candidate = locks.resolve(name.substring(0, dot) + ".lock");
                lockFile = Files.exists(candidate) ? candidate : lockFile;
            }
            if (lockFile == null) {
                return new Hold(null, true);
            }
            FileChannel channel;
            try {
                channel = FileChannel.open(lockFile, StandardOpenOption.WRITE);
            } catch (AccessDeniedException ofAnotherUser) {
                return new Hold(null, false);
            }
            try {
                return new Hold(channel, channel.tryLock() != null);
            } catch (OverlappingFileLockException ofThisProcess) {
                return new Hold(channel, false);
            } catch (IOException e) {
                channel.close();
                throw e;
            }
        }

        /** Gives the lock back as well. */
        @Override
        public void close() throws IOException {
            if (channel != null) {
                channel.close();
            }
        }
    }
}
