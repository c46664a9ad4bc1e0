/**
 * A model repository on disk: config.json, the index of its shards, safetensors or pytorch_model.bin.
 *
 * <p>Entry point is {@link io.gptq4j.checkpoint.Checkpoint}. What the tensors mean is the business of the engine's model families.
 */
@NullMarked
package io.gptq4j.checkpoint;

import org.jspecify.annotations.NullMarked;
