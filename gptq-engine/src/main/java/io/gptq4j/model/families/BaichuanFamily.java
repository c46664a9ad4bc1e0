package io.gptq4j.model.families;

import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.model.Architecture;
import io.gptq4j.model.Architecture.NormKind;
import io.gptq4j.model.Head;
import io.gptq4j.model.ModelFamily;
import io.gptq4j.model.ModelFamily.Server;
import io.gptq4j.model.Position;
import java.util.EnumSet;
import java.util.List;

/**
 * Baichuan 1 and 2: as Llama, with q, k and v in one module; the 13B models have ALiBi positions, the second generation divides
 * each row of the output matrix by its length. Yang et al. 2023 (arXiv 2309.10305).
 */
final class BaichuanFamily {
    static final ModelFamily FAMILY = new ModelFamily(
            "baichuan",
            List.of("baichuan"),
            "1 and 2; 7B rotary, 13B with ALiBi; the normalised head of 2",
            EnumSet.of(Server.TGI, Server.VLLM),
            Keys.reader(BaichuanFamily::read));

    private BaichuanFamily() {}

    /** The vocabulary of the second generation. */
    private static final int SECOND_VOCABULARY = 125696;

    private static Architecture read(Keys keys) throws CheckpointException {
        LlamaLayout llama = new LlamaLayout(keys);
        // the 13B models' configuration has no max_position_embeddings but model_max_length, as they bound no positions
        Position position = keys.has("max_position_embeddings")
                ? keys.rotary(llama.headDim, false)
                : new Position.Alibi(8, false, false);
        boolean second = keys.has("z_loss_weight") || keys.integer("vocab_size") == SECOND_VOCABULARY;
        Head head = llama.head(NormKind.RMS, llama.eps(), false);
        return llama.architecture(
                "baichuan",
                llama.embedding(),
                llama.blocks(
                        llama.fusedAttention("W_pack", position),
                        llama.mlp(false),
                        llama.norms(NormKind.RMS, llama.eps())),
                second ? head.withNormalizedRows() : head);
    }
}
