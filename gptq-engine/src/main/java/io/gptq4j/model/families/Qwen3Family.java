package io.gptq4j.model.families;

import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.model.Architecture;
import io.gptq4j.model.Architecture.NormKind;
import io.gptq4j.model.Attention.MultiHead;
import io.gptq4j.model.ModelFamily;
import io.gptq4j.model.ModelFamily.Server;
import java.util.EnumSet;
import java.util.List;

/**
 * Qwen 3, dense: as Llama, with norms on the heads of queries and keys and a head size of its own. Yang et al. 2025 (arXiv
 * 2505.09388).
 */
final class Qwen3Family {
    static final ModelFamily FAMILY = new ModelFamily(
            "qwen3",
            List.of("qwen3"),
            "dense; own head_dim, sliding window as Qwen 2",
            EnumSet.of(Server.VLLM, Server.TRANSFORMERS),
            Keys.reader(Qwen3Family::read));

    private Qwen3Family() {}

    private static Architecture read(Keys keys) throws CheckpointException {
        LlamaLayout llama = new LlamaLayout(keys, 32, 128);
        boolean bias = keys.flag(false, "attention_bias");
        MultiHead attention = llama.attention(bias, bias).withNorms(llama.headNorms(NormKind.RMS, llama.eps()));
        return llama.architecture(
                "qwen3",
                llama.embedding(),
                llama.blocks(
                        Qwen2Family.withWindows(llama, attention),
                        llama.mlp(false),
                        llama.norms(NormKind.RMS, llama.eps())),
                llama.head(NormKind.RMS, llama.eps(), false));
    }
}
