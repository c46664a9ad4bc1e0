package io.gptq4j.model.families;

import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.model.Architecture;
import io.gptq4j.model.Architecture.Linear;
import io.gptq4j.model.Architecture.NormKind;
import io.gptq4j.model.Mlp;
import io.gptq4j.model.ModelFamily;
import io.gptq4j.model.ModelFamily.Server;
import java.util.EnumSet;
import java.util.List;

/**
 * Nemotron and Minitron: Llama's layout with LayerNorm around one, half of each head's channels rotated, and squared ReLU
 * without a gate. Parmar et al. 2024 (arXiv 2402.16819).
 */
final class NemotronFamily {
    static final ModelFamily FAMILY = new ModelFamily(
            "nemotron",
            List.of("nemotron"),
            "nemotron-3, nemotron-4, minitron; not nemotron_h and nemotron-nas",
            EnumSet.of(Server.VLLM, Server.TRANSFORMERS),
            Keys.reader(NemotronFamily::read));

    private NemotronFamily() {}

    private static Architecture read(Keys keys) throws CheckpointException {
        LlamaLayout llama = new LlamaLayout(keys);
        int inner = keys.integer("intermediate_size");
        boolean attentionBias = keys.flag(false, "attention_bias");
        boolean mlpBias = keys.flag(false, "mlp_bias");
        double eps = keys.numberOr(1e-5, "norm_eps");
        return llama.architecture(
                "nemotron",
                llama.embedding(),
                llama.blocks(
                        llama.attention(attentionBias, attentionBias, keys.partialRotary(llama.headDim, 0.5, false)),
                        new Mlp.Plain(
                                keys.activation("relu2", "hidden_act"),
                                new Linear("mlp.up_proj", llama.hidden, inner, mlpBias),
                                new Linear("mlp.down_proj", inner, llama.hidden, mlpBias)),
                        llama.norms(NormKind.LAYER_PLUS_ONE, eps)),
                llama.head(NormKind.LAYER_PLUS_ONE, eps, false));
    }
}
