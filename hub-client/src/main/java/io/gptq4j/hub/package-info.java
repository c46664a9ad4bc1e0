/**
 * The Hugging Face Hub: pull repositories into the shared cache, read parts of remote files, push one commit.
 *
 * <p>Entry class is {@link io.gptq4j.hub.HubClient}. Nothing here knows what is inside a model's files.
 */
@NullMarked
package io.gptq4j.hub;

import org.jspecify.annotations.NullMarked;
