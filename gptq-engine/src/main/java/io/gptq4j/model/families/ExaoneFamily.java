package io.gptq4j.model.families;

import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.model.Activation;
import io.gptq4j.model.Architecture;
import io.gptq4j.model.Architecture.Linear;
import io.gptq4j.model.Attention.MultiHead;
import io.gptq4j.model.Attention.Separate;
import io.gptq4j.model.Block;
import io.gptq4j.model.Block.Norms;
import io.gptq4j.model.Block.Residual;
import io.gptq4j.model.Mlp;
import io.gptq4j.model.ModelFamily;
import io.gptq4j.model.ModelFamily.Server;
import java.util.Collections;
import java.util.EnumSet;
import java.util.List;

/** EXAONE 3 and 3.5, and Deep: GPT-Neo's names around Llama's parts. LG AI Research 2024 (arXiv 2408.03541, 2412.04862). */
final class ExaoneFamily {
    static final ModelFamily FAMILY = new ModelFamily(
            "exaone",
            List.of("exaone"),
            "3.0, 3.5, Deep; 2.4B, 7.8B, 32B",
            EnumSet.of(Server.VLLM),
            Keys.reader(ExaoneFamily::read));

    private ExaoneFamily() {}

    private static Architecture read(Keys keys) throws CheckpointException {
        GptLayout gpt = new GptLayout(keys);
        keys.only(gpt.headDim, "head_dim");
        int hidden = gpt.hidden;
        int kv = keys.integerOrNone(0, "num_key_value_heads");
        int kvHeads = kv == 0 ? gpt.heads : kv;
        keys.divided("num_attention_heads over num_key_value_heads", gpt.heads, kvHeads);
        MultiHead attention = MultiHead.of(
                gpt.heads,
                kvHeads,
                gpt.headDim,
                keys.rotary(gpt.headDim, false),
                Separate.under("attn.attention", hidden, hidden, kvHeads * gpt.headDim, false),
                new Linear("attn.attention.out_proj", hidden, hidden, false));
        int inner = keys.integerOrNone(0, "intermediate_size");
        Activation activation = keys.activation("silu", "activation_function", "hidden_act");
        Mlp mlp = gated(activation, hidden, inner == 0 ? 4 * hidden : inner);
        Norms norms = Norms.before(gpt.rmsNorm("ln_1", 1e-5), gpt.rmsNorm("ln_2", 1e-5));
        Block block = new Block(attention, mlp, norms, Residual.SEQUENTIAL);
        return gpt.architecture(
                "exaone",
                keys.maxPositions(2048),
                gpt.embedding(),
                Collections.nCopies(gpt.layers, block),
                gpt.head(gpt.rmsNorm("transformer.ln_f", 1e-5), true));
    }

    private static Mlp.Gated gated(Activation activation, int hidden, int inner) {
        return new Mlp.Gated(
                activation,
                new Linear("mlp.c_fc_0", hidden, inner, false),
                new Linear("mlp.c_fc_1", hidden, inner, false),
                new Linear("mlp.c_proj", inner, hidden, false));
    }
}
