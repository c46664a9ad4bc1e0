/**
 * Helpers of the converter's own packages: positional channel access and wording of messages. Not part of the API;
 * entry class is {@link io.gptq4j.internal.FileChannels}.
 */
@NullMarked
package io.gptq4j.internal;

import org.jspecify.annotations.NullMarked;
