/**
 * Brings files from the disk to the Hub, in one commit.
 *
 * <p>Entry class is {@link io.gptq4j.hub.internal.upload.Uploads}.
 */
@NullMarked
package io.gptq4j.hub.internal.upload;

import org.jspecify.annotations.NullMarked;
