/**
 * Decoder-only transformers: what a family is ({@link io.gptq4j.model.Architecture}, as data), how any of them computes
 * ({@link io.gptq4j.model.DecoderBlock}, stage by stage), and a checkpoint ready to run
 * ({@link io.gptq4j.model.LanguageModel}).
 *
 * <p>No family has code of its own here: the files in {@code families} only read config.json and choose parts.
 */
@NullMarked
package io.gptq4j.model;

import org.jspecify.annotations.NullMarked;
