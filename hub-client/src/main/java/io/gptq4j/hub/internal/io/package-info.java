/**
 * What the packages above share: files that are whole or not there, hashes of content, work shared out over threads.
 *
 * <p>Entry class is {@link io.gptq4j.hub.internal.io.AtomicFiles}. Nothing here knows of the Hub.
 */
@NullMarked
package io.gptq4j.hub.internal.io;

import org.jspecify.annotations.NullMarked;
