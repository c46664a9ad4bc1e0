/**
 * GPTQ: the Hessian of a module group, the solve, and the run over all blocks of a model.
 *
 * <p>Entry points are {@link io.gptq4j.gptq.GptqQuantizer} for a model and {@link io.gptq4j.gptq.GptqSolver} for the
 * algorithm itself. How a block computes is the business of {@code io.gptq4j.model}; how the result is stored, of the
 * converter.
 */
@NullMarked
package io.gptq4j.gptq;

import org.jspecify.annotations.NullMarked;
