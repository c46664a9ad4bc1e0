package io.gptq4j.hub.internal.upload;

import io.gptq4j.hub.transfer.CommitOperation;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** What a commit changes, sorted by how it is said. Filled by one thread. */
final class Changes {
    /** Files whose content goes along with the commit. */
    final List<LocalContent> regular = new ArrayList<>();
    /** Files whose content is in LFS storage by then. */
    final List<LocalContent> lfs = new ArrayList<>();
    /** Copies of LFS files: path and sha256. */
    final Map<String, String> lfsCopies = new TreeMap<>();

    final List<CommitOperation.Delete> deletes = new ArrayList<>();

    boolean isEmpty() {
        return regular.isEmpty() && lfs.isEmpty() && lfsCopies.isEmpty() && deletes.isEmpty();
    }
}
