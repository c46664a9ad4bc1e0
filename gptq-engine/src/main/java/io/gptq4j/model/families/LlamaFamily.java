package io.gptq4j.model.families;

import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.checkpoint.ModelConfig;
import io.gptq4j.model.Architecture;
import io.gptq4j.model.Architecture.Attention;
import io.gptq4j.model.Architecture.Embedding;
import io.gptq4j.model.Architecture.Head;
import io.gptq4j.model.Architecture.Linear;
import io.gptq4j.model.Architecture.Mlp;
import io.gptq4j.model.Architecture.Norm;
import io.gptq4j.model.Architecture.NormKind;
import io.gptq4j.model.Architecture.Projection;
import io.gptq4j.model.Architecture.Residual;
import io.gptq4j.model.ModelFamily;
import java.util.List;
import java.util.Optional;

/**
 * Llama 1, 2, 3, 3.1, 3.2 and 3.3, and checkpoints in their layout: RMSNorm, rotary positions, grouped-query attention,
 * gated MLP. Touvron et al. 2023 (arXiv 2302.13971, 2307.09288), Dubey et al. 2024 (arXiv 2407.21783).
 */
final class LlamaFamily {
    static final ModelFamily FAMILY = new ModelFamily("llama", List.of("llama"), LlamaFamily::read);

    private LlamaFamily() {}

    private static Architecture read(ModelConfig config) throws CheckpointException {
        int hidden = config.intValue("hidden_size");
        int heads = config.intValue("num_attention_heads");
        int kvHeads = config.intValue("num_key_value_heads", heads);
        Configs.divided(config, "num_attention_heads over num_key_value_heads", heads, kvHeads);
        int headDim = config.has("head_dim")
                ? config.intValue("head_dim")
                : Configs.divided(config, "hidden_size over num_attention_heads", hidden, heads);
        int intermediate = config.intValue("intermediate_size");
        boolean attentionBias = config.booleanValue("attention_bias", false);
        boolean mlpBias = config.booleanValue("mlp_bias", false);
        double eps = config.doubleValue("rms_norm_eps", 1e-6);
        return new Architecture(
                "llama",
                hidden,
                config.intValue("vocab_size"),
                config.intValue("max_position_embeddings", 2048),
                config.intValue("num_hidden_layers"),
                "model.",
                "model.layers",
                new Embedding("model.embed_tokens", hidden, Optional.empty(), Optional.empty(), Optional.empty()),
                new Attention(
                        heads,
                        kvHeads,
                        headDim,
                        1 / Math.sqrt(headDim),
                        Projection.SEPARATE,
                        Configs.rotary(config),
                        List.of(
                                new Linear("self_attn.q_proj", hidden, heads * headDim, attentionBias),
                                new Linear("self_attn.k_proj", hidden, kvHeads * headDim, attentionBias),
                                new Linear("self_attn.v_proj", hidden, kvHeads * headDim, attentionBias)),
                        new Linear("self_attn.o_proj", heads * headDim, hidden, attentionBias)),
                new Mlp(
                        Configs.activation(config, "hidden_act", "silu"),
                        List.of(
                                new Linear("mlp.gate_proj", hidden, intermediate, mlpBias),
                                new Linear("mlp.up_proj", hidden, intermediate, mlpBias)),
                        new Linear("mlp.down_proj", intermediate, hidden, mlpBias)),
                new Norm(NormKind.RMS, "input_layernorm", hidden, eps),
                new Norm(NormKind.RMS, "post_attention_layernorm", hidden, eps),
                Residual.PRE_NORM,
                new Head(
                        Optional.of(new Norm(NormKind.RMS, "model.norm", hidden, eps)),
                        Optional.empty(),
                        "lm_head",
                        config.booleanValue("tie_word_embeddings", false)));
    }
}
