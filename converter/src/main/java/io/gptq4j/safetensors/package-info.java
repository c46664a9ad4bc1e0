/**
 * The safetensors container: reading, validating and writing it, and the raw tensors inside.
 *
 * <p>Entry points are {@link io.gptq4j.safetensors.SafetensorsReader} and {@link io.gptq4j.safetensors.SafetensorsWriter}.
 * Nothing here knows what a model is, and no number is ever converted: tensors are little-endian bytes with a dtype and
 * a shape.
 */
@NullMarked
package io.gptq4j.safetensors;

import org.jspecify.annotations.NullMarked;
