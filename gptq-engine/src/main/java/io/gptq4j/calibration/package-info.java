/**
 * Text to token windows: the model's own tokenizer, and calibration sets from text, JSON lines or the embedded text.
 *
 * <p>Entry points are {@link io.gptq4j.calibration.Tokenizer} and {@link io.gptq4j.calibration.CalibrationSet}.
 */
@NullMarked
package io.gptq4j.calibration;

import org.jspecify.annotations.NullMarked;
