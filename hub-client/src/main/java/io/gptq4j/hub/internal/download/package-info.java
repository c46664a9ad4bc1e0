/**
 * Brings files from the Hub to the disk: whole or not at all, checked, and from where the last attempt stopped.
 *
 * <p>Entry class is {@link io.gptq4j.hub.internal.download.Downloads}.
 */
@NullMarked
package io.gptq4j.hub.internal.download;

import org.jspecify.annotations.NullMarked;
