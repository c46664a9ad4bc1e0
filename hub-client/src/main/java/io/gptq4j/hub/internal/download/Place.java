package io.gptq4j.hub.internal.download;

import io.gptq4j.hub.repo.RepoFile;
import io.gptq4j.hub.repo.Revision;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;

/** Where files of one repository go: the shared cache, or a local folder. Safe for concurrent use. */
interface Place {
    /** Where the files of a commit are or will be. */
    Path folder(String commit);

    /** Where one of them is or will be. */
    Path location(String commit, String path);

    /** The commit of a revision, as far as this disk knows. */
    Optional<String> commitOf(Revision revision);

    /** Whether the file is there as of that commit, by name only: nothing else is known of it. */
    boolean hasNamed(String commit, String path);

    /** A file that is here under the name, whatever is known of it; for when the Hub cannot be asked. */
    Optional<Path> anyhow(Revision revision, String path);

    /** Whether the file is there with the right content; neither a request is made nor the disk changed to find out. */
    boolean has(String commit, RepoFile file) throws IOException;

    /** Notes that a file {@linkplain #has is there} as of that commit. */
    void confirm(String commit, RepoFile file) throws IOException;

    /**
     * Bytes that are missing on this disk to have the file: none if its content is here under another name.
     *
     * @param segmentSize how the transfer divides a file of this size
     */
    long lacking(RepoFile file, long segmentSize) throws IOException;

    /** Fills a file from what is on this disk or, if need be, by the transfer, and gives it its name. */
    void bring(String commit, RepoFile file, boolean force, Transfer transfer) throws IOException;

    /** All files of a commit, if they were listed before. */
    Optional<List<RepoFile>> tree(String commit);

    /** Remembers all files of a commit. */
    void writeTree(String commit, List<RepoFile> files) throws IOException;

    /** Remembers which commit a revision is. */
    void writeRef(Revision revision, String commit);

    /** Remembers that a commit has no such file. */
    void writeAbsence(Revision revision, String commit, String path);

    /** Completes a partial file. */
    @FunctionalInterface
    interface Transfer {
        void into(Path partial) throws IOException;
    }
}
