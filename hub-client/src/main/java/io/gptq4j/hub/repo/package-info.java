/**
 * What is on the Hub: names of repositories, revisions and paths, and what the Hub tells about them, as values that
 * validate themselves.
 *
 * <p>Entry class is {@link io.gptq4j.hub.repo.Repo}. Nothing here sends a request or touches a disk.
 */
@NullMarked
package io.gptq4j.hub.repo;

import org.jspecify.annotations.NullMarked;
