package io.gptq4j.model.families;

import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.model.Architecture;
import io.gptq4j.model.Architecture.Linear;
import io.gptq4j.model.Attention.Fused;
import io.gptq4j.model.Attention.MultiHead;
import io.gptq4j.model.ModelFamily;
import io.gptq4j.model.ModelFamily.Server;
import java.util.EnumSet;
import java.util.List;

/**
 * CodeGen: GPT-J with one module for all three projections, whose outputs are four stretches, one for each core it was trained
 * on, each with a quarter of the queries, then of the values, then of the keys. Nijkamp et al. 2022 (arXiv 2203.13474).
 */
final class CodegenFamily {
    static final ModelFamily FAMILY = new ModelFamily(
            "codegen",
            List.of("codegen"),
            "350m to 16b, nl, multi, mono",
            EnumSet.of(Server.TRANSFORMERS),
            Keys.reader(CodegenFamily::read));

    private static final int CORES = 4;

    private CodegenFamily() {}

    private static Architecture read(Keys keys) throws CheckpointException {
        GptLayout gpt = new GptLayout(keys);
        keys.divided("attention heads over the four stretches of qkv_proj", gpt.heads, CORES);
        MultiHead attention = gpt.fused(
                gpt.heads,
                gpt.rotary(),
                new Fused(new Linear("attn.qkv_proj", gpt.hidden, 3 * gpt.hidden, false), CORES, "qvk"),
                new Linear("attn.out_proj", gpt.hidden, gpt.hidden, false));
        return gpt.parallel("codegen", attention);
    }
}
