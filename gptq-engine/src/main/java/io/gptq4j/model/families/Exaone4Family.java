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
import java.util.function.IntPredicate;

/**
 * EXAONE 4: norms on what the parts give instead of what they read, and on the heads of queries and keys; with a sliding window, layers
 * without it have no positions. LG AI Research 2025 (arXiv 2507.11407).
 */
final class Exaone4Family {
    static final ModelFamily FAMILY = new ModelFamily(
            "exaone4",
            List.of("exaone4"),
            "1.2B, 32B with sliding window by pattern or by layer_types",
            EnumSet.of(Server.VLLM, Server.TRANSFORMERS),
            Keys.reader(Exaone4Family::read));

    private Exaone4Family() {}

    private static Architecture read(Keys keys) throws CheckpointException {
        LlamaLayout llama = new LlamaLayout(keys, 32, 0);
        double eps = llama.eps(1e-5);
        MultiHead local = llama.attention(false, false).withNorms(llama.headNorms(NormKind.RMS, eps));
        int window = llama.window(4096);
        MultiHead global = window > 0 ? local.withPosition(new Position.None()) : local;
        IntPredicate sliding = llama.sliding(window > 0 ? 4 : 0);
        return llama.architecture(
                "exaone4",
                llama.embedding(),
                llama.blocks(
                        layer -> sliding.test(layer) ? local.withWindow(window) : global,
                        llama.mlp(false),
                        llama.normsAfter(NormKind.RMS, eps)),
                llama.head(NormKind.RMS, eps, false));
    }
}
