package io.gptq4j.model.families;

import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.checkpoint.ModelConfig;
import io.gptq4j.model.Architecture;
import io.gptq4j.model.Architecture.NormKind;
import io.gptq4j.model.ModelFamily;
import io.gptq4j.model.ModelFamily.Server;
import io.gptq4j.model.Position;
import io.gptq4j.model.RopeScaling;
import java.util.EnumSet;
import java.util.List;
import java.util.Optional;

/** InternLM 1: as Llama, with biases in the attention and, in later releases, an object {@code rotary} for its positions. */
final class InternLmFamily {
    static final ModelFamily FAMILY = new ModelFamily(
            "internlm", List.of("internlm"), "7B, 20B", EnumSet.of(Server.VLLM), Keys.reader(InternLmFamily::read));

    private InternLmFamily() {}

    private static Architecture read(Keys keys) throws CheckpointException {
        LlamaLayout llama = new LlamaLayout(keys);
        boolean bias = keys.flag(true, "bias");
        return llama.architecture(
                "internlm",
                llama.embedding(),
                llama.blocks(
                        llama.attention(bias, bias, position(keys, llama.headDim)),
                        llama.mlp(false),
                        llama.norms(NormKind.RMS, llama.eps())),
                llama.head(NormKind.RMS, llama.eps(), false));
    }

    private static Position position(Keys keys, int headDim) throws CheckpointException {
        Optional<ModelConfig> rotary = keys.object("rotary");
        if (rotary.isEmpty()) {
            return keys.rotary(headDim, false);
        }
        String type = rotary.get().stringValue("type", "origin");
        RopeScaling scaling = switch (type) {
            case "origin" -> new RopeScaling.None();
            case "dynamic" ->
                new RopeScaling.Dynamic(
                        rotary.get().doubleValue("scaling_factor", 1), keys.integerOr(2048, "max_position_embeddings"));
            default -> throw keys.error("rotary type \"" + type + "\" is not supported; origin and dynamic are");
        };
        return new Position.Rotary(headDim, rotary.get().doubleValue("base", 10000), false, scaling);
    }
}
