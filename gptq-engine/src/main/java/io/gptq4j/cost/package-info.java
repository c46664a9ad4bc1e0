/**
 * What a quantization costs before it is run: {@link io.gptq4j.cost.CostModel} counts its work from the architecture and
 * the options, {@link io.gptq4j.cost.Calibration} measures the machine, and together they give an {@link
 * io.gptq4j.cost.Estimate} of time, memory and disk.
 */
@NullMarked
package io.gptq4j.cost;

import org.jspecify.annotations.NullMarked;
