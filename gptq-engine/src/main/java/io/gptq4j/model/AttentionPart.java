package io.gptq4j.model;

import io.gptq4j.model.Architecture.Linear;
import io.gptq4j.model.Architecture.Norm;
import io.gptq4j.tensor.FloatType;
import io.gptq4j.tensor.Scope;
import io.gptq4j.tensor.Tensor;
import java.util.List;
import java.util.Optional;
import java.util.stream.IntStream;
import org.jspecify.annotations.Nullable;

/** Computes the attention of one block, up to what its output module reads. B windows, T tokens. */
final class AttentionPart {
    private final Attention attention;
    private final PositionTables positions;
    private final Parts.TensorLookup<RuntimeException> weights;

    AttentionPart(Attention attention, PositionTables positions, Parts.TensorLookup<RuntimeException> weights) {
        this.attention = attention;
        this.positions = positions;
        this.weights = weights;
    }

    /**
     * What the heads gather, [B, T, heads * value size], from the attention's input [B, T, C]; owned by {@code scope}.
     *
     * @param past of the windows' tokens before, to which x [B, 1, C] is the next; null if x is all of them
     */
    Tensor gathered(Scope scope, Tensor x, @Nullable KeyValues past) {
        try (Scope step = scope.child()) {
            Tensor y = attention instanceof Attention.Latent latent
                    ? latent(step, x, latent, past)
                    : multiHead(step, x, (Attention.MultiHead) attention, past);
            return y.moveTo(scope);
        }
    }

    /** The latent vector [B, T, n] that {@code module} reads, from the attention's input. */
    Tensor latentInput(Scope scope, Tensor x, Linear module) {
        Attention.Latent latent = (Attention.Latent) attention;
        if (module.name().equals(latent.keyValue().name())) {
            try (Tensor both = linear(scope, x, latent.keyValueLatent())) {
                return keyValueInput(scope, both, latent);
            }
        }
        Attention.Latent.QueryLatent query = latent.queryLatent().orElseThrow();
        try (Tensor y = linear(scope, x, query.module())) {
            return Parts.norm(scope, y, query.norm(), weights);
        }
    }

    private Tensor keyValueInput(Scope scope, Tensor both, Attention.Latent latent) {
        try (Tensor first = scope.call(
                "decoder", "first_channels", both, latent.latentNorm().size())) {
            return Parts.norm(scope, first, latent.latentNorm(), weights);
        }
    }

    private Tensor latent(Scope scope, Tensor x, Attention.Latent latent, @Nullable KeyValues past) {
        Tensor both = linear(scope, x, latent.keyValueLatent()); // [B, T, n + r]
        Tensor q = latent.queryLatent().isPresent() ? latentInput(scope, x, latent.query()) : x;
        PositionTables.Rotation table = positions.rotation(latent.position(), tokens(x, past));
        List<Tensor> heads = scope.callAll(
                "decoder",
                "latent_heads",
                linear(scope, q, latent.query()),
                linear(scope, keyValueInput(scope, both, latent), latent.keyValue()),
                both,
                table.cos(),
                table.sin(),
                past == null ? 0 : past.length(),
                latent.position().interleaved(),
                latent.heads(),
                latent.plainDim());
        if (past == null) {
            return scope.call("decoder", "attend", heads.get(0), heads.get(1), heads.get(2), latent.scale());
        }
        List<Tensor> seen = past.with(scope, heads.get(1), heads.get(2), 0);
        return scope.call("decoder", "attend_last", heads.get(0), seen.get(0), seen.get(1), latent.scale());
    }

    /** How many tokens the windows have, or will have. */
    private static int tokens(Tensor x, @Nullable KeyValues past) {
        return past == null ? Math.toIntExact(x.size(1)) : past.capacity();
    }

    private Tensor multiHead(Scope scope, Tensor x, Attention.MultiHead multi, @Nullable KeyValues past) {
        List<Tensor> qkv = projected(scope, x, multi);
        if (multi.clip() > 0) {
            qkv.forEach(
                    part -> scope.call("decoder", "clipped", part, multi.clip()).close());
        }
        Tensor q = qkv.get(0); // [B, T, H * D]
        Tensor k = qkv.get(1); // [B, T, K * D]
        Optional<Attention.HeadNorms> before = multi.norms().filter(norms -> !norms.afterRotation());
        if (before.isPresent()) {
            q = headNorm(scope, q, before.get().query(), before.get().span(), multi.heads());
            k = headNorm(scope, k, before.get().key(), before.get().span(), multi.kvHeads());
        }
        q = placed(scope, q, multi, multi.heads(), past); // [B, H, T, D]
        k = placed(scope, k, multi, multi.kvHeads(), past); // [B, K, T, D]
        Optional<Attention.HeadNorms> after = multi.norms().filter(Attention.HeadNorms::afterRotation);
        if (after.isPresent()) {
            q = Parts.norm(scope, q, after.get().query(), weights);
            k = Parts.norm(scope, k, after.get().key(), weights);
        }
        Tensor v = scope.call("decoder", "heads", qkv.get(2), multi.kvHeads()); // [B, K, T, D]
        if (past != null) {
            List<Tensor> seen = past.with(scope, k, v, multi.window());
            k = seen.get(0); // [B, K, S, D]
            v = seen.get(1);
        }
        if (multi.position() instanceof Position.Alibi alibi) {
            return scope.call(
                    "decoder",
                    "attend_alibi",
                    q,
                    k,
                    v,
                    positions.slopes(multi.heads(), alibi.largest()),
                    multi.scale(),
                    alibi.scaled() ? multi.scale() : 1.0,
                    alibi.bfloat16() ? FloatType.BFLOAT16 : FloatType.FLOAT32);
        }
        int tokens = Math.toIntExact(x.size(1));
        boolean limited = multi.window() > 0 && multi.window() < tokens;
        if (multi.softcap() > 0) {
            Tensor mask = positions.mask(tokens, limited ? multi.window() : Integer.MAX_VALUE); // one query sees all
            return scope.call("decoder", "attend_capped", q, k, v, mask, multi.scale(), multi.softcap());
        }
        if (past != null) {
            return scope.call("decoder", "attend_last", q, k, v, multi.scale());
        }
        return limited
                ? scope.call("decoder", "attend_masked", q, k, v, positions.mask(tokens, multi.window()), multi.scale())
                : scope.call("decoder", "attend", q, k, v, multi.scale());
    }

    private List<Tensor> projected(Scope scope, Tensor x, Attention.MultiHead multi) {
        if (multi.projection() instanceof Attention.Fused fused) {
            Tensor all = linear(scope, x, fused.qkv());
            int groups = fused.groups();
            int shared = multi.kvHeads() / groups; // heads of k, and of v, in each group
            int total = multi.heads() / groups + 2 * shared;
            Tensor[] parts = new Tensor[3];
            int start = 0;
            for (char part : fused.order().toCharArray()) {
                int end = start + (part == 'q' ? total - 2 * shared : shared);
                parts["qkv".indexOf(part)] = scope.call("decoder", "fused_part", all, groups, total, start, end);
                start = end;
            }
            return List.of(parts);
        }
        return multi.inputs().stream().map(module -> linear(scope, x, module)).toList();
    }

    private Tensor placed(Scope scope, Tensor x, Attention.MultiHead multi, int heads, @Nullable KeyValues past) {
        if (multi.position() instanceof Position.Rotary rotary) {
            PositionTables.Rotation table = positions.rotation(rotary, tokens(x, past));
            int start = past == null ? 0 : past.length();
            return scope.call(
                    "decoder", "rotary_heads", x, heads, table.cos(), table.sin(), start, rotary.interleaved());
        }
        return scope.call("decoder", "heads", x, heads);
    }

    private Tensor headNorm(Scope scope, Tensor x, Norm norm, Attention.NormSpan span, int heads) {
        if (span == Attention.NormSpan.ALL_HEADS) {
            return Parts.norm(scope, x, norm, weights);
        }
        Tensor y = scope.call("decoder", "split_heads", x, heads); // [B, T, heads, D]
        Tensor z = span == Attention.NormSpan.EACH_HEAD_APART
                ? Parts.norm(scope, y, norm, name -> together(scope, norm, heads))
                : Parts.norm(scope, y, norm, weights);
        return scope.call("decoder", "joined_heads", z);
    }

    /** The weights of the norms of all heads, [heads, D]. */
    private Tensor together(Scope scope, Norm norm, int heads) {
        List<Tensor> parts = IntStream.range(0, heads)
                .mapToObj(h -> weights.get(norm.name() + ".norms." + h + ".weight"))
                .toList();
        return scope.call("decoder", "stacked", parts);
    }

    private Tensor linear(Scope scope, Tensor x, Linear module) {
        return Parts.linear(scope, x, module, weights);
    }
}
