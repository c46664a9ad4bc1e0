package io.gptq4j.model.families;

import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.model.Activation;
import io.gptq4j.model.Architecture;
import io.gptq4j.model.Architecture.Linear;
import io.gptq4j.model.Attention.Fused;
import io.gptq4j.model.Attention.MultiHead;
import io.gptq4j.model.Block;
import io.gptq4j.model.Block.Norms;
import io.gptq4j.model.Block.Residual;
import io.gptq4j.model.Mlp;
import io.gptq4j.model.ModelFamily;
import io.gptq4j.model.ModelFamily.Server;
import java.util.Collections;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;

/**
 * Qwen 1: GPT-2's names around Llama's parts, the gate being w2; in windows longer than {@code seq_length} queries grow and the base
 * of the rotation changes, so windows end there. vLLM reads {@code rope_theta} only. Bai et al. 2023 (arXiv 2309.16609).
 */
final class QwenFamily {
    static final ModelFamily FAMILY = new ModelFamily(
            "qwen",
            List.of("qwen"),
            "1.8B to 72B, text of VL; windows up to seq_length",
            EnumSet.of(Server.VLLM),
            Keys.reader(QwenFamily::read));

    private QwenFamily() {}

    private static Architecture read(Keys keys) throws CheckpointException {
        keys.ignore("bf16", "fp16", "fp32", "onnx_safe", "params_dtype", "tokenizer_type", "padded_vocab_size");
        keys.ignore("visual", "use_cache_kernel"); // the former is for tokens of images only
        keys.only(false, "use_cache_quantization");
        keys.only(1, "seq_length_expansion");
        keys.only(keys.numberOr(10000, "rotary_emb_base"), "rope_theta");
        GptLayout gpt = new GptLayout(keys);
        keys.only(gpt.headDim, "kv_channels");
        int hidden = gpt.hidden;
        int inner = keys.divided("intermediate_size", keys.integer("intermediate_size", "ffn_hidden_size"), 2);
        boolean bias = !keys.flag(true, "no_bias");
        MultiHead attention = gpt.fused(
                gpt.heads,
                keys.rotary(Optional.empty(), gpt.headDim, 1, 10000, false),
                new Fused(new Linear("attn.c_attn", hidden, 3 * hidden, true), 1, "qkv"),
                new Linear("attn.c_proj", hidden, hidden, bias));
        Mlp mlp = new Mlp.Gated(
                Activation.SILU,
                new Linear("mlp.w2", hidden, inner, bias),
                new Linear("mlp.w1", hidden, inner, bias),
                new Linear("mlp.c_proj", inner, hidden, bias));
        Block block = new Block(
                attention,
                mlp,
                Norms.before(gpt.rmsNorm("ln_1", 1e-6), gpt.rmsNorm("ln_2", 1e-6)),
                Residual.SEQUENTIAL);
        int positions = gpt.positions(8192);
        int first = keys.integerOr(positions, "seq_length");
        boolean grows = keys.flag(true, "use_logn_attn") | keys.flag(true, "use_dynamic_ntk");
        return gpt.architecture(
                "qwen",
                grows ? Math.min(positions, first) : positions,
                gpt.embedding(),
                Collections.nCopies(gpt.layers, block),
                gpt.head(gpt.rmsNorm("transformer.ln_f", 1e-6), false));
    }
}
