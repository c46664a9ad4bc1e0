/**
 * Judging a model: log-likelihoods and perplexity of text, for float and quantized checkpoints alike.
 *
 * <p>Entry points are {@link io.gptq4j.eval.Evaluator} for one model and {@link io.gptq4j.eval.Comparison} for several.
 */
@NullMarked
package io.gptq4j.eval;

import org.jspecify.annotations.NullMarked;
