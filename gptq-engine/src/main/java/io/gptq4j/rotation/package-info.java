/**
 * Offline rotation: a float checkpoint as another one that computes the same function, with the channels of its residual
 * stream mixed, so that none of them stands out. {@link io.gptq4j.rotation.RotatedCheckpoint} is what a run sees; the
 * weights are rotated as they are read. Uses neither the tensor library nor any thread of its own.
 */
@NullMarked
package io.gptq4j.rotation;

import org.jspecify.annotations.NullMarked;
