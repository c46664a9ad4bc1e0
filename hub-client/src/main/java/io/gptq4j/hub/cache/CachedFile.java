package io.gptq4j.hub.cache;

import java.nio.file.Path;
import java.time.Instant;

/**
 * A file of a snapshot.
 *
 * @param path the path in the repository, with slashes
 * @param blob where its content really lies, all links resolved; in a cache without links, its place in the snapshot
 * @param size bytes of the content
 * @param lastAccessed when the content was last read, as far as the file system keeps account
 * @param lastModified when the content was written
 */
public record CachedFile(String path, Path blob, long size, Instant lastAccessed, Instant lastModified) {}
