package io.gptq4j.model.families;

import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.model.Architecture;
import io.gptq4j.model.Architecture.NormKind;
import io.gptq4j.model.Attention.MultiHead;
import io.gptq4j.model.ModelFamily;
import io.gptq4j.model.ModelFamily.Server;
import java.util.EnumSet;
import java.util.List;
import java.util.function.IntPredicate;

/**
 * Qwen 2 and 2.5, and MiMo 7B: as Llama, with biases on q, k and v. Yang et al. 2024 (arXiv 2407.10671, 2412.15115).
 */
final class Qwen2Family {
    static final ModelFamily FAMILY = new ModelFamily(
            "qwen2",
            List.of("qwen2", "mimo"),
            "2, 2.5; sliding window from a layer on, by max_window_layers or layer_types; MiMo, its blocks ahead carried along",
            EnumSet.of(Server.TGI, Server.VLLM, Server.TRANSFORMERS),
            Keys.reader(Qwen2Family::read));

    private Qwen2Family() {}

    private static Architecture read(Keys keys) throws CheckpointException {
        LlamaLayout llama = new LlamaLayout(keys, 32, 0);
        keys.ignore("attention_bias"); // q, k and v have biases and o has none, whatever it says
        MultiHead attention = llama.attention(true, false);
        return llama.architecture(
                "qwen2",
                llama.embedding(),
                llama.blocks(withWindows(llama, attention), llama.mlp(false), llama.norms(NormKind.RMS, llama.eps())),
                llama.head(NormKind.RMS, llama.eps(), false));
    }

    /** A window for some layers where {@code use_sliding_window} says so: those from {@code max_window_layers} on, or by type. */
    static LlamaLayout.AttentionOf withWindows(LlamaLayout llama, MultiHead attention) throws CheckpointException {
        boolean windows = llama.keys.flag(false, "use_sliding_window");
        llama.keys.ignore("sliding_window"); // unless it is used
        int window = windows ? llama.window(4096) : 0;
        int first = llama.keys.integerOr(28, "max_window_layers");
        IntPredicate sliding = llama.sliding(layer -> layer >= first);
        return layer -> sliding.test(layer) ? attention.withWindow(window) : attention;
    }
}
