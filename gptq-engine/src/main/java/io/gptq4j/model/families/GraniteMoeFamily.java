package io.gptq4j.model.families;

import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.model.Architecture;
import io.gptq4j.model.Architecture.NormKind;
import io.gptq4j.model.Block;
import io.gptq4j.model.Block.Residual;
import io.gptq4j.model.Mlp;
import io.gptq4j.model.ModelFamily;
import io.gptq4j.model.ModelFamily.Server;
import java.util.EnumSet;
import java.util.List;

/**
 * Granite 3 with experts: Granite's multipliers around Mixtral's mixture. Checkpoints hold the experts stacked; quantized they are
 * written under Mixtral's names w1, w3 and w2, since that is what vLLM makes of the stacks itself and loads unchanged, whereas
 * transformers has no module of its own for an expert and GPTQModel has one that fuses w1 and w3.
 */
final class GraniteMoeFamily {
    static final ModelFamily FAMILY = new ModelFamily(
            "granitemoe",
            List.of("granitemoe"),
            "3.0 and 3.1, 1B-A400M, 3B-A800M; all four multipliers",
            EnumSet.of(Server.VLLM),
            Keys.reader(GraniteMoeFamily::read));

    private GraniteMoeFamily() {}

    private static Architecture read(Keys keys) throws CheckpointException {
        LlamaLayout llama = new LlamaLayout(keys);
        keys.only("rope", "position_embedding_type");
        boolean bias = keys.flag(false, "attention_bias");
        Mlp.Routing routing = Mlp.Routing.softmax(keys.integerOr(2, "num_experts_per_tok"), true);
        Block block = new Block(
                llama.attention(bias, bias).withScale(keys.numberOr(1, "attention_multiplier")),
                new ExpertsLayout(llama, keys.countOr(8, "num_local_experts"), routing).mixtral("router.layer"),
                llama.norms(NormKind.RMS, llama.eps()),
                Residual.SEQUENTIAL,
                keys.numberOr(1, "residual_multiplier"));
        return llama.architecture(
                "granitemoe",
                llama.embedding().withScale(keys.numberOr(1, "embedding_multiplier")),
                llama.blocks(layer -> block),
                llama.head(NormKind.RMS, llama.eps(), false).withScale(1 / keys.numberOr(1, "logits_scaling")));
    }
}
