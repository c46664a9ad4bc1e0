package io.gptq4j.model.families;

import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.model.Architecture;
import io.gptq4j.model.Architecture.Linear;
import io.gptq4j.model.Attention.MultiHead;
import io.gptq4j.model.Attention.Separate;
import io.gptq4j.model.ModelFamily;
import io.gptq4j.model.ModelFamily.Server;
import java.util.EnumSet;
import java.util.List;

/**
 * GPT-J: attention and MLP side by side after one norm, the first channels of each head rotated in pairs of neighbours, a head
 * with a bias. Wang and Komatsuzaki 2021 (github.com/kingoflolz/mesh-transformer-jax).
 */
final class GptjFamily {
    static final ModelFamily FAMILY = new ModelFamily(
            "gptj",
            List.of("gptj"),
            "gpt-j-6b and what was trained from it",
            EnumSet.of(Server.TGI, Server.VLLM, Server.TRANSFORMERS),
            Keys.reader(GptjFamily::read));

    private GptjFamily() {}

    private static Architecture read(Keys keys) throws CheckpointException {
        GptLayout gpt = new GptLayout(keys);
        int hidden = gpt.hidden;
        keys.only(true, "rotary");
        MultiHead attention = MultiHead.of(
                gpt.heads,
                gpt.heads,
                gpt.headDim,
                gpt.rotary(),
                Separate.under("attn", hidden, hidden, hidden, false),
                new Linear("attn.out_proj", hidden, hidden, false));
        return gpt.parallel("gptj", attention);
    }
}
