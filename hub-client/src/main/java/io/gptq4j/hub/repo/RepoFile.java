package io.gptq4j.hub.repo;

import org.jspecify.annotations.Nullable;

/**
 * A file in a repository.
 *
 * @param path the path from the root
 * @param size bytes of its content, not of an LFS pointer
 * @param oid the git id of its blob: sha1 of {@code blob SIZE\0} and the content, or of the LFS pointer
 * @param sha256 sha256 of the content if it lies in LFS or Xet storage, else null
 * @param xetHash its name in Xet storage, or null
 */
public record RepoFile(
        String path,
        long size,
        String oid,
        @Nullable String sha256,
        @Nullable String xetHash) implements RepoEntry {
    /** A million gigabytes: sums of sizes must not overflow. */
    private static final long MOST_BYTES = 1L << 50;

    /** Checks the path, the size and that the hash can name a file. */
    public RepoFile {
        RepoPaths.requireSafe(path);
        if (size < 0 || size > MOST_BYTES) {
            throw new IllegalArgumentException("The size of " + path + " is " + size);
        }
        RepoPaths.requireName(sha256 != null ? sha256 : oid);
    }

    /** The name of its blob in the cache, which is also what proves its content: sha256 if there is one, else git's id. */
    public String etag() {
        return sha256 != null ? sha256 : oid;
    }
}
