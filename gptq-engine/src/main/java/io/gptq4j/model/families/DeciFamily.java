package io.gptq4j.model.families;

import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.model.Architecture;
import io.gptq4j.model.Architecture.Linear;
import io.gptq4j.model.Architecture.NormKind;
import io.gptq4j.model.Attention.MultiHead;
import io.gptq4j.model.Attention.Separate;
import io.gptq4j.model.ModelFamily;
import io.gptq4j.model.ModelFamily.Server;
import io.gptq4j.model.Position;
import java.util.EnumSet;
import java.util.List;

/**
 * DeciLM: as Llama, with a number of key heads for each block (Deci 2023, model card of DeciLM-7B). No server has a class that loads
 * it quantized: vLLM's repeated rows of float weights and is gone; AutoGPTQ and GPTQModel run the model's own code. Later models of
 * this name have {@code block_configs}, which are refused.
 */
final class DeciFamily {
    static final ModelFamily FAMILY = new ModelFamily(
            "deci",
            List.of("deci"),
            "7B; for AutoGPTQ and GPTQModel with the model's own code",
            EnumSet.noneOf(Server.class),
            Keys.reader(DeciFamily::read));

    private DeciFamily() {}

    private static Architecture read(Keys keys) throws CheckpointException {
        LlamaLayout llama = new LlamaLayout(keys);
        List<Integer> kvHeads = keys.integers("num_key_value_heads_per_layer");
        if (kvHeads.size() != llama.layers) {
            throw keys.error("num_key_value_heads_per_layer = " + kvHeads + " must have one entry for each of "
                    + llama.layers + " blocks");
        }
        boolean bias = keys.flag(false, "attention_bias");
        Position rotary = keys.rotary(llama.headDim, false);
        return llama.architecture(
                "deci",
                llama.embedding(),
                llama.blocks(
                        layer -> attention(llama, kvHeads.get(layer), bias, rotary),
                        llama.mlp(false),
                        llama.norms(NormKind.RMS, llama.eps())),
                llama.head(NormKind.RMS, llama.eps(), false));
    }

    private static MultiHead attention(LlamaLayout llama, int kvHeads, boolean bias, Position rotary)
            throws CheckpointException {
        llama.keys.divided("num_attention_heads over num_key_value_heads_per_layer", llama.heads, kvHeads);
        int width = llama.heads * llama.headDim;
        return MultiHead.of(
                llama.heads,
                kvHeads,
                llama.headDim,
                rotary,
                Separate.under("self_attn", llama.hidden, width, kvHeads * llama.headDim, bias),
                new Linear("self_attn.o_proj", width, llama.hidden, bias));
    }
}
