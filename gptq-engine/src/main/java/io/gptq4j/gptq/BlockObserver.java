package io.gptq4j.gptq;

import io.gptq4j.model.DecoderBlock;
import io.gptq4j.model.LanguageModel;
import java.io.IOException;

/** Sees each block of a run before and after it is quantized, while its weights are in memory anyway. */
public interface BlockObserver {
    /** The run begins; the embedding is in memory now. */
    void started(LanguageModel.Embedder embedder) throws IOException;

    /** The block is loaded, in float. Must not change it. */
    void loaded(DecoderBlock block) throws IOException;

    /** The block's modules are quantized, and compute what a server will. Must not change it. */
    void quantized(DecoderBlock block) throws IOException;
}
