package io.gptq4j.hub.internal.upload;

import io.gptq4j.hub.transfer.CommitOperation;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/** What a commit changes, sorted by how it is said. Filled by one thread. */
final class Changes {
    /** Content in LFS storage; a copy within the repository is stated without its size. */
    record Stored(String sha256, @Nullable Long size) {}

    /** Files whose content goes along with the commit. */
    final List<LocalContent> regular = new ArrayList<>();
    /** Files whose content is in LFS storage by then. */
    final List<LocalContent> lfs = new ArrayList<>();
    /** LFS files whose content the store has already, by path. */
    final Map<String, Stored> stored = new TreeMap<>();

    final List<CommitOperation.Delete> deletes = new ArrayList<>();

    boolean isEmpty() {
        return regular.isEmpty() && lfs.isEmpty() && stored.isEmpty() && deletes.isEmpty();
    }
}
