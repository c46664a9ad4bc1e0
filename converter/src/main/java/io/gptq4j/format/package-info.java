/**
 * The AutoGPTQ artifact: quantized linears, bit packing, quantize_config.json, and the files of a quantized repository.
 *
 * <p>Entry points are {@link io.gptq4j.format.Packing} for one module and {@link
 * io.gptq4j.format.ArtifactWriter} and {@link io.gptq4j.format.ArtifactReader} for a repository. No native library is needed for anything here.
 */
@NullMarked
package io.gptq4j.format;

import org.jspecify.annotations.NullMarked;
