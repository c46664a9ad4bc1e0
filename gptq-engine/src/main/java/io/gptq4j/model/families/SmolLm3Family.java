package io.gptq4j.model.families;

import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.model.Architecture;
import io.gptq4j.model.Architecture.NormKind;
import io.gptq4j.model.Attention.MultiHead;
import io.gptq4j.model.ModelFamily;
import io.gptq4j.model.ModelFamily.Server;
import io.gptq4j.model.Position;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;
import java.util.function.IntPredicate;

/**
 * SmolLM 3: as Llama, without rotary positions in every fourth layer.
 */
final class SmolLm3Family {
    static final ModelFamily FAMILY = new ModelFamily(
            "smollm3",
            List.of("smollm3"),
            "3B; layers without positions, sliding window by layer_types",
            EnumSet.of(Server.VLLM, Server.TRANSFORMERS),
            Keys.reader(SmolLm3Family::read));

    private SmolLm3Family() {}

    private static Architecture read(Keys keys) throws CheckpointException {
        LlamaLayout llama = new LlamaLayout(keys, 4, 0);
        boolean bias = keys.flag(false, "attention_bias");
        MultiHead rotary = llama.attention(bias, bias, keys.rotary(keys.rope(), llama.headDim, 1, 2000000, false));
        MultiHead plain = rotary.withPosition(new Position.None());
        keys.ignore("sliding_window"); // unless it is used
        int window = keys.flag(false, "use_sliding_window") ? llama.window(0) : 0;
        int interval = keys.integerOr(4, "no_rope_layer_interval");
        Optional<List<?>> listed = keys.perBlock("no_rope_layers", llama.layers);
        IntPredicate rotates = layer ->
                listed.isPresent() ? !Integer.valueOf(0).equals(listed.get().get(layer)) : (layer + 1) % interval != 0;
        IntPredicate sliding = llama.sliding(layer -> !rotates.test(layer));
        return llama.architecture(
                "smollm3",
                llama.embedding(),
                llama.blocks(
                        layer -> (rotates.test(layer) ? rotary : plain).withWindow(sliding.test(layer) ? window : 0),
                        llama.mlp(keys.flag(false, "mlp_bias")),
                        llama.norms(NormKind.RMS, llama.eps())),
                llama.head(NormKind.RMS, llama.eps(), true));
    }
}
