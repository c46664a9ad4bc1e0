/**
 * Judging a model: log-likelihoods and perplexity of text, for float and quantized checkpoints alike.
 *
 * <p>Entry point is {@link io.gptq4j.eval.Evaluator}.
 */
@NullMarked
package io.gptq4j.eval;

import org.jspecify.annotations.NullMarked;
