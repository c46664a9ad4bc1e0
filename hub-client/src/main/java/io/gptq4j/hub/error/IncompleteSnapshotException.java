package io.gptq4j.hub.error;

import java.nio.file.Path;
import java.util.List;

/** A snapshot is on this disk only in part, and the rest cannot be fetched. */
public final class IncompleteSnapshotException extends HubException {
    private static final long serialVersionUID = 1L;
    private static final int MOST_NAMES = 5;

    private final transient Path folder;
    private final transient List<String> missing;

    /** With the snapshot's folder and the paths of the files that are not there. */
    public IncompleteSnapshotException(Path folder, List<String> missing) {
        super("The snapshot " + folder + " lacks " + missing.size() + " file(s): "
                + String.join(", ", missing.subList(0, Math.min(MOST_NAMES, missing.size())))
                + (missing.size() > MOST_NAMES ? ", ..." : "")
                + "; download it again while the Hub can be reached");
        this.folder = folder;
        this.missing = List.copyOf(missing);
    }

    /** The folder, which holds the files that are there. */
    public Path folder() {
        return folder;
    }

    /** Paths of the files that are not there. */
    public List<String> missing() {
        return missing;
    }
}
