/**
 * The Hugging Face Hub: what a repository is called and, later, how its files are fetched and changed.
 *
 * <p>Entry class is {@link io.gptq4j.hub.RepoId}. Nothing here knows what is inside a model's files.
 */
@NullMarked
package io.gptq4j.hub;

import org.jspecify.annotations.NullMarked;
