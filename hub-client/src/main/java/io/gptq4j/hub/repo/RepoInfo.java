package io.gptq4j.hub.repo;

import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What the Hub tells about a repository at one revision.
 *
 * @param id the id as the Hub knows it today; differs from the one asked for if the repository was renamed
 * @param sha the commit of the revision, or null if the Hub did not say
 * @param isPrivate whether only its owners see it
 * @param gated {@code auto} or {@code manual} if access has to be asked for, else null
 * @param disabled whether the Hub has blocked it
 * @param author the namespace, or null
 * @param lastModified ISO 8601, or null
 * @param downloads of the last 30 days
 * @param likes number of likes
 * @param libraryName such as {@code transformers}, or null
 * @param pipelineTag such as {@code text-generation}, or null
 * @param tags all tags
 * @param files paths of all files, if the Hub listed them
 * @param json the whole answer
 */
public record RepoInfo(
        String id,
        @Nullable String sha,
        boolean isPrivate,
        @Nullable String gated,
        boolean disabled,
        @Nullable String author,
        @Nullable String lastModified,
        long downloads,
        long likes,
        @Nullable String libraryName,
        @Nullable String pipelineTag,
        List<String> tags,
        List<String> files,
        String json) {
    /** Copies the lists. */
    public RepoInfo {
        tags = List.copyOf(tags);
        files = List.copyOf(files);
    }
}
