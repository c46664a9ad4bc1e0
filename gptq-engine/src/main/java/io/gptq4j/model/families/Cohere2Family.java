package io.gptq4j.model.families;

import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.model.Architecture;
import io.gptq4j.model.Attention.MultiHead;
import io.gptq4j.model.ModelFamily;
import io.gptq4j.model.ModelFamily.Server;
import io.gptq4j.model.Position;
import java.util.EnumSet;
import java.util.List;
import java.util.function.IntPredicate;

/**
 * Command R7B and Command A: as Command R, with a sliding window in three of four layers and no positions at all in the others.
 */
final class Cohere2Family {
    static final ModelFamily FAMILY = new ModelFamily(
            "cohere2",
            List.of("cohere2"),
            "Command R7B, Command A; sliding window by pattern or by layer_types",
            EnumSet.of(Server.VLLM, Server.TRANSFORMERS),
            Keys.reader(Cohere2Family::read));

    private Cohere2Family() {}

    private static Architecture read(Keys keys) throws CheckpointException {
        LlamaLayout llama = new LlamaLayout(keys);
        double eps = keys.numberOr(1e-5, "layer_norm_eps");
        boolean bias = keys.flag(false, "attention_bias");
        int window = llama.window(4096);
        MultiHead global = llama.attention(bias, bias, new Position.None());
        MultiHead local = global.withPosition(keys.rotary(llama.headDim, true)).withWindow(window);
        IntPredicate sliding = llama.sliding(4);
        return llama.architecture(
                "cohere2",
                llama.embedding(),
                llama.blocks(
                        layer -> CohereFamily.block(llama, window > 0 && sliding.test(layer) ? local : global, eps)),
                CohereFamily.head(llama, eps));
    }
}
