package io.gptq4j.model.families;

import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.model.Architecture;
import io.gptq4j.model.Architecture.NormKind;
import io.gptq4j.model.ModelFamily;
import io.gptq4j.model.ModelFamily.Server;
import java.util.EnumSet;
import java.util.List;

/**
 * StarCoder 2: as Llama, with LayerNorm, biases and a feed-forward part without gate. Lozhkov et al. 2024 (arXiv 2402.19173).
 */
final class Starcoder2Family {
    static final ModelFamily FAMILY = new ModelFamily(
            "starcoder2",
            List.of("starcoder2"),
            "3B, 7B, 15B; with or without biases and window",
            EnumSet.of(Server.TGI, Server.VLLM, Server.TRANSFORMERS),
            Keys.reader(Starcoder2Family::read));

    private Starcoder2Family() {}

    private static Architecture read(Keys keys) throws CheckpointException {
        LlamaLayout llama = new LlamaLayout(keys, 2, 0);
        double eps = keys.numberOr(1e-5, "norm_epsilon");
        boolean bias = keys.flag(true, "use_bias");
        keys.activation("gelu_pytorch_tanh", "activation_function"); // known, but hidden_act counts
        keys.only("layer_norm", "norm_type");
        keys.only("default", "mlp_type");
        return llama.architecture(
                "starcoder2",
                llama.embedding(),
                llama.blocks(
                        llama.attention(bias, bias).withWindow(llama.window(0)),
                        llama.plainMlp("c_fc", "c_proj", "gelu_pytorch_tanh", bias),
                        llama.norms(NormKind.LAYER, eps)),
                llama.head(NormKind.LAYER, eps, true));
    }
}
