package io.gptq4j.model.families;

import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.model.Architecture;
import io.gptq4j.model.Architecture.Linear;
import io.gptq4j.model.Architecture.NormKind;
import io.gptq4j.model.Block;
import io.gptq4j.model.Block.Residual;
import io.gptq4j.model.Mlp;
import io.gptq4j.model.ModelFamily;
import io.gptq4j.model.ModelFamily.Server;
import io.gptq4j.model.Position;
import java.util.EnumSet;
import java.util.List;

/**
 * Granite 3 with experts, or with a shared one besides: Granite's multipliers around Mixtral's mixture. Checkpoints hold the experts
 * stacked; quantized they are written under Mixtral's names w1, w3 and w2, since that is what vLLM makes of the stacks itself and
 * loads unchanged, whereas transformers has no module of its own for an expert and GPTQModel has one that fuses w1 and w3. Of the
 * shared one gate and up are one module everywhere.
 */
final class GraniteMoeFamily {
    static final ModelFamily FAMILY = new ModelFamily(
            "granitemoe",
            List.of("granitemoe"),
            "3.0 and 3.1, 1B-A400M, 3B-A800M; all four multipliers",
            EnumSet.of(Server.VLLM),
            Keys.reader(keys -> read(keys, false)));

    static final ModelFamily SHARED = new ModelFamily(
            "granitemoeshared",
            List.of("granitemoeshared"),
            "7B-A1B; shared expert, all four multipliers",
            EnumSet.of(Server.VLLM),
            Keys.reader(keys -> read(keys, true)));

    private GraniteMoeFamily() {}

    private static Architecture read(Keys keys, boolean withShared) throws CheckpointException {
        LlamaLayout llama = new LlamaLayout(keys);
        keys.only("rope", "position_embedding_type");
        Mlp.Experts experts = experts(llama);
        int shared = withShared ? keys.integerOr(0, "shared_intermediate_size") : 0;
        return architecture(
                withShared ? "granitemoeshared" : "granitemoe",
                llama,
                keys.rotary(llama.headDim, false),
                shared == 0 ? experts : experts.withShared(shared(llama, shared)));
    }

    static Mlp.Experts experts(LlamaLayout llama) throws CheckpointException {
        Mlp.Routing routing = Mlp.Routing.softmax(llama.keys.integerOr(2, "num_experts_per_tok"), true);
        return new ExpertsLayout(llama, llama.keys.countOr(8, "num_local_experts"), routing).mixtral("router.layer");
    }

    /** {@code shared_mlp}, with so many inner channels. */
    static Mlp.Dense shared(LlamaLayout llama, int inner) throws CheckpointException {
        return new Mlp.FusedGated(
                llama.keys.activation("silu", "hidden_act"),
                new Linear("shared_mlp.input_linear", llama.hidden, 2 * inner, false),
                new Linear("shared_mlp.output_linear", inner, llama.hidden, false));
    }

    /** The whole, with Granite's multipliers. */
    static Architecture architecture(String family, LlamaLayout llama, Position position, Mlp mlp)
            throws CheckpointException {
        Keys keys = llama.keys;
        boolean bias = keys.flag(false, "attention_bias");
        Block block = new Block(
                llama.attention(bias, bias, position).withScale(keys.numberOr(1, "attention_multiplier")),
                mlp,
                llama.norms(NormKind.RMS, llama.eps()),
                Residual.SEQUENTIAL,
                keys.numberOr(1, "residual_multiplier"));
        return llama.architecture(
                family,
                llama.embedding().withScale(keys.numberOr(1, "embedding_multiplier")),
                llama.blocks(layer -> block),
                llama.head(NormKind.RMS, llama.eps(), false).withScale(1 / keys.numberOr(1, "logits_scaling")));
    }
}
