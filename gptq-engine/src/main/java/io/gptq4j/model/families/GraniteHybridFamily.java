package io.gptq4j.model.families;

import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.model.Architecture;
import io.gptq4j.model.Mlp;
import io.gptq4j.model.ModelFamily;
import io.gptq4j.model.ModelFamily.Server;
import io.gptq4j.model.Position;
import java.util.EnumSet;
import java.util.List;

/**
 * Granite 4 where all blocks have attention, which is the models without "h" in their name: as {@link GraniteMoeFamily}, with or
 * without experts beside the shared network, and with or without rotary positions.
 */
final class GraniteHybridFamily {
    static final ModelFamily FAMILY = new ModelFamily(
            "granitemoehybrid",
            List.of("granitemoehybrid"),
            "4.0 without Mamba blocks: micro, 350m, 1b; all four multipliers",
            EnumSet.of(Server.VLLM, Server.TRANSFORMERS),
            Keys.reader(GraniteHybridFamily::read));

    private GraniteHybridFamily() {}

    private static Architecture read(Keys keys) throws CheckpointException {
        LlamaLayout llama = new LlamaLayout(keys);
        List<?> types = keys.perBlock("layer_types", llama.layers)
                .orElseThrow(() ->
                        keys.error("layer_types is missing, that is, all blocks are mamba, which is not supported"));
        for (Object type : types) {
            if (!"attention".equals(type) && !"full_attention".equals(type)) {
                throw keys.error("layer_types has \"" + type + "\"; only attention is supported for model_type \""
                        + keys.config().modelType() + "\"");
            }
        }
        keys.ignore("mamba_n_heads", "mamba_n_groups", "mamba_d_state", "mamba_d_head", "mamba_d_conv");
        keys.ignore("mamba_expand", "mamba_chunk_size", "mamba_conv_bias", "mamba_proj_bias", "time_step_limit");
        keys.only("rmsnorm", "normalization_function");
        Mlp.Dense shared = GraniteMoeFamily.shared(llama, keys.integerOr(1024, "shared_intermediate_size"));
        Mlp mlp = shared;
        if (keys.integerOr(8, "num_local_experts") == 0) {
            keys.ignore("intermediate_size", "num_experts_per_tok"); // of the experts
        } else {
            mlp = GraniteMoeFamily.experts(llama).withShared(shared);
        }
        String positions = keys.textOr("nope", "position_embedding_type");
        if (!positions.equals("rope") && !positions.equals("nope")) {
            throw keys.error("position_embedding_type \"" + positions + "\" is not supported; rope and nope are");
        }
        if (positions.equals("nope")) {
            keys.ignore("rope_theta", "rope_scaling", "rope_parameters");
        }
        return GraniteMoeFamily.architecture(
                "granitemoehybrid",
                llama,
                positions.equals("rope") ? keys.rotary(llama.headDim, false) : new Position.None(),
                mlp);
    }
}
