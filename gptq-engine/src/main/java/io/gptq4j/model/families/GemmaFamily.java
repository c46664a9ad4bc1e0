package io.gptq4j.model.families;

import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.model.Activation;
import io.gptq4j.model.Architecture;
import io.gptq4j.model.Architecture.NormKind;
import io.gptq4j.model.ModelFamily;
import io.gptq4j.model.ModelFamily.Server;
import java.util.EnumSet;
import java.util.List;

/**
 * Gemma: norms store their weights less one, embeddings are multiplied by the root of their size, heads have a size of their own.
 * Gemma Team 2024 (arXiv 2403.08295).
 */
final class GemmaFamily {
    static final ModelFamily FAMILY = new ModelFamily(
            "gemma",
            List.of("gemma"),
            "2B, 7B, 1.1, CodeGemma",
            EnumSet.of(Server.TGI, Server.VLLM, Server.TRANSFORMERS),
            Keys.reader(GemmaFamily::read));

    private GemmaFamily() {}

    private static Architecture read(Keys keys) throws CheckpointException {
        LlamaLayout llama = new LlamaLayout(keys, 16, 256);
        boolean bias = keys.flag(false, "attention_bias");
        Activation activation = keys.activation("gelu_pytorch_tanh", "hidden_activation", "hidden_act");
        return llama.architecture(
                "gemma",
                llama.embedding().withScale(Math.sqrt(llama.hidden)),
                llama.blocks(
                        llama.attention(bias, bias),
                        llama.gated(
                                "mlp",
                                keys.integer("intermediate_size"),
                                false,
                                // the first releases said gelu and were trained with its approximation
                                activation == Activation.GELU ? Activation.GELU_TANH : activation),
                        llama.norms(NormKind.RMS_PLUS_ONE, llama.eps())),
                llama.head(NormKind.RMS_PLUS_ONE, llama.eps(), true));
    }
}
