package io.gptq4j.hub.transfer;

import java.nio.file.Path;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Files of one commit on this disk.
 *
 * @param folder where they are: the snapshot in the cache, or the local folder
 * @param commit the commit, or null if only a local folder without any record of it was at hand
 * @param files the files that were asked for
 */
public record Snapshot(Path folder, @Nullable String commit, List<File> files) {
    /** Copies the list. */
    public Snapshot {
        files = List.copyOf(files);
    }

    /**
     * One file.
     *
     * @param path its path in the repository
     * @param size its bytes
     * @param location where it is, or will be
     * @param present whether it is there already
     */
    public record File(String path, long size, Path location, boolean present) {}
}
