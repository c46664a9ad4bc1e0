package io.gptq4j.it.hub;

import java.time.Instant;
import java.util.HashMap;
import java.util.Map;
import java.util.NavigableMap;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * A commit with all its files.
 *
 * @param folders the tree id of every folder
 */
record Commit(
        String id,
        @Nullable Commit parent,
        String title,
        String message,
        String author,
        Instant date,
        NavigableMap<String, HubFile> files,
        Map<String, String> folders) {
    static Commit of(
            @Nullable Commit parent,
            String title,
            String message,
            String author,
            Instant date,
            NavigableMap<String, HubFile> files) {
        NavigableMap<String, HubFile> copy = new TreeMap<>(files);
        Map<String, String> folders = new HashMap<>();
        String tree = Git.tree("", copy, folders);
        String text = message.isEmpty() ? title : title + "\n\n" + message;
        String id = Git.commit(tree, parent == null ? null : parent.id(), author, date.getEpochSecond(), text);
        return new Commit(id, parent, title, message, author, date, copy, folders);
    }

    /** The commit that gave the file or folder the content it has here. */
    Commit lastChangeOf(String path) {
        Commit commit = this;
        for (Commit older = commit.parent; older != null && same(older, path); older = commit.parent) {
            commit = older;
        }
        return commit;
    }

    private boolean same(Commit other, String path) {
        HubFile mine = files.get(path);
        HubFile theirs = other.files.get(path);
        if (mine != null) {
            return theirs != null && mine.blobId().equals(theirs.blobId());
        }
        return String.valueOf(folders.get(path)).equals(other.folders.get(path));
    }
}
