package io.gptq4j.it.hub;

import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import org.jspecify.annotations.Nullable;

/** Uploads that the LFS batch has handed out. An old one stays usable when a new one for the same object is opened. */
final class Uploads {
    /** One of them. */
    static final class Upload {
        private final String id;
        private final String sha256;
        private final long size;
        private final long chunkSize;
        private final Path file;
        private final int generation;
        private final Map<Integer, String> etags = new TreeMap<>();
        private boolean finished;

        private Upload(String id, String sha256, long size, long chunkSize, Path file, int generation) {
            this.id = id;
            this.sha256 = sha256;
            this.size = size;
            this.chunkSize = chunkSize;
            this.file = file;
            this.generation = generation;
        }

        String id() {
            return id;
        }

        String sha256() {
            return sha256;
        }

        long size() {
            return size;
        }

        Path file() {
            return file;
        }

        /** The generation of signatures it was opened in. */
        int generation() {
            return generation;
        }

        boolean isMultipart() {
            return chunkSize > 0;
        }

        int parts() {
            return Math.toIntExact((size + chunkSize - 1) / chunkSize);
        }

        long partOffset(int part) {
            return (part - 1) * chunkSize;
        }

        long partSize(int part) {
            return Math.min(chunkSize, size - partOffset(part));
        }

        synchronized void forget(int part) {
            etags.remove(part);
        }

        synchronized void received(int part, String etag) {
            etags.put(part, etag);
        }

        /** True for the first caller only: the one that has to check the content. */
        synchronized boolean finish() {
            boolean first = !finished;
            finished = true;
            return first;
        }

        synchronized void reopen() {
            finished = false;
        }

        /** The ETags of the parts that have arrived. */
        synchronized Map<Integer, String> etags() {
            return new TreeMap<>(etags);
        }
    }

    private final Map<String, Upload> uploads = new ConcurrentHashMap<>();
    private final AtomicLong count = new AtomicLong();

    /** A new upload; {@code chunkSize} 0 means the whole object at once. */
    Upload open(HubState state, String sha256, long size, long chunkSize) {
        String id = Hex.id("upload " + count.incrementAndGet() + " " + sha256, 24);
        Upload upload = new Upload(
                id,
                sha256,
                size,
                chunkSize,
                state.lfs().newFile(),
                state.signatures().generation());
        uploads.put(id, upload);
        return upload;
    }

    @Nullable
    Upload get(String id) {
        return uploads.get(id);
    }
}
