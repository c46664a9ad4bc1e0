package io.gptq4j.hub.transfer;

import org.jspecify.annotations.Nullable;

/**
 * What came of a commit.
 *
 * @param commit the hash of the commit, or of the head if there was nothing to change
 * @param url its web page
 * @param pullRequestUrl the web page of the pull request that was opened, or null
 * @param changed whether a commit was made
 */
public record CommitResult(
        String commit, String url, @Nullable String pullRequestUrl, boolean changed) {}
