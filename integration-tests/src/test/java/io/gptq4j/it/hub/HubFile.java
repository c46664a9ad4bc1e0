package io.gptq4j.it.hub;

import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * A file of a commit.
 *
 * @param blobId git's id: of the content, or of the pointer of an LFS file
 * @param size of the content
 * @param sha256 of an LFS file's content, else null
 */
record HubFile(String blobId, long size, @Nullable String sha256, Content content) {
    static HubFile regular(byte[] bytes) {
        return new HubFile(Git.blob(bytes), bytes.length, null, Content.of(bytes));
    }

    static HubFile lfs(String sha256, Content content) {
        return new HubFile(Git.blob(Git.lfsPointer(sha256, content.size())), content.size(), sha256, content);
    }

    boolean isLfs() {
        return sha256 != null;
    }

    /** What names the content: the sha256 of an LFS file, the git id of any other. */
    String etag() {
        return sha256 != null ? sha256 : blobId;
    }

    int pointerSize() {
        return Git.lfsPointer(etag(), size).length;
    }

    String xetHash() {
        return Hex.id("xet " + etag(), 64);
    }

    /** The entry of a tree listing. */
    Map<String, Object> treeEntry(String path, boolean xet) {
        Map<String, Object> entry = Json.map("type", "file", "oid", blobId, "size", size, "path", path);
        if (isLfs()) {
            entry.put("lfs", Json.map("oid", etag(), "size", size, "pointerSize", pointerSize()));
            if (xet) {
                entry.put("xetHash", xetHash());
            }
        }
        return entry;
    }

    /** The entry of a model info's siblings. */
    Map<String, Object> sibling(String path, boolean blobs) {
        Map<String, Object> entry = Json.map("rfilename", path);
        if (blobs) {
            entry.put("size", size);
            entry.put("blobId", blobId);
            if (isLfs()) {
                entry.put("lfs", Json.map("sha256", etag(), "size", size, "pointerSize", pointerSize()));
            }
        }
        return entry;
    }
}
