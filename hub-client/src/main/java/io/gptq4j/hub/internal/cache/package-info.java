/**
 * The disk: huggingface_hub's shared cache and its bookkeeping in a local folder, byte for byte, so that Python, TGI and
 * vLLM read what we write and we what they write. The layout is described in huggingface_hub's documentation, "Understand
 * caching".
 *
 * <p>Entry classes are {@link io.gptq4j.hub.internal.cache.RepoCache} and {@link io.gptq4j.hub.internal.cache.LocalFolder}.
 * No request is sent from here.
 */
@NullMarked
package io.gptq4j.hub.internal.cache;

import org.jspecify.annotations.NullMarked;
