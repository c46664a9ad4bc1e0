package io.gptq4j.model.families;

import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.checkpoint.ModelConfig;
import io.gptq4j.model.Architecture;
import io.gptq4j.model.Architecture.Norm;
import io.gptq4j.model.Architecture.NormKind;
import io.gptq4j.model.Attention.HeadNorms;
import io.gptq4j.model.Attention.NormSpan;
import io.gptq4j.model.ModelFamily;
import io.gptq4j.model.ModelFamily.Server;
import io.gptq4j.model.Position;
import io.gptq4j.model.RopeScaling;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;

/**
 * Hunyuan 1, dense: as Llama, with norms on the heads of queries and keys after their rotation, whose base may be stretched by a power
 * of {@code alpha}.
 */
final class HunYuanFamily {
    static final ModelFamily FAMILY = new ModelFamily(
            "hunyuan_v1_dense",
            List.of("hunyuan_v1_dense"),
            "0.5B to 7B, dense",
            EnumSet.of(Server.VLLM, Server.TRANSFORMERS),
            Keys.reader(HunYuanFamily::read));

    private HunYuanFamily() {}

    private static Architecture read(Keys keys) throws CheckpointException {
        LlamaLayout llama = new LlamaLayout(keys);
        double eps = llama.eps(1e-5);
        boolean bias = keys.flag(false, "attention_bias");
        keys.only(1, "num_experts");
        keys.only(true, "use_qk_norm");
        keys.only("rms", "norm_type");
        HeadNorms norms = new HeadNorms(
                NormSpan.HEAD,
                new Norm(NormKind.RMS, "self_attn.query_layernorm", llama.headDim, eps),
                new Norm(NormKind.RMS, "self_attn.key_layernorm", llama.headDim, eps),
                true);
        return llama.architecture(
                "hunyuan_v1_dense",
                llama.embedding(),
                llama.blocks(
                        llama.attention(bias, bias, position(keys, llama.headDim))
                                .withNorms(norms),
                        llama.mlp(false),
                        llama.norms(NormKind.RMS, eps)),
                llama.head(NormKind.RMS, eps, false));
    }

    private static Position position(Keys keys, int headDim) throws CheckpointException {
        Optional<ModelConfig> rope = keys.rope();
        if (rope.isEmpty() || !rope.get().has("alpha")) {
            return keys.rotary(headDim, false);
        }
        double stretch = Math.pow(rope.get().doubleValue("alpha"), headDim / (headDim - 2.0));
        double theta = rope.get().doubleValue("rope_theta", keys.numberOr(10000, "rope_theta"));
        return new Position.Rotary(headDim, theta * stretch, false, new RopeScaling.None());
    }
}
