/**
 * The one place that knows DJL: devices, tensors in libtorch's memory, the scopes that own them, and the TorchScript
 * text (in this package's resources) that computes with them.
 *
 * <p>Entry point is {@link io.gptq4j.tensor.Torch}. Model families, GPTQ and files are no business of this package.
 */
@NullMarked
package io.gptq4j.tensor;

import org.jspecify.annotations.NullMarked;
