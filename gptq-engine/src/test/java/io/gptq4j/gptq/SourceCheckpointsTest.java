package io.gptq4j.gptq;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.gptq4j.checkpoint.Checkpoint;
import io.gptq4j.checkpoint.ModelConfig;
import io.gptq4j.model.FamilyTest;
import io.gptq4j.model.LanguageModel;
import io.gptq4j.model.TinyCheckpoint;
import io.gptq4j.model.families.FamilyExamples;
import io.gptq4j.model.families.ModelFamilies;
import io.gptq4j.rotation.RotatedCheckpoint;
import io.gptq4j.safetensors.DType;
import io.gptq4j.safetensors.TensorInfo;
import io.gptq4j.tensor.FloatType;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Checkpoints whose weights lie on the disk otherwise than the model takes them, against plain ones of the same weights. */
class SourceCheckpointsTest extends FamilyTest {
    static Map<String, Object> example(String family) {
        return new LinkedHashMap<>(
                Objects.requireNonNull(FamilyExamples.all().get(family)).values());
    }

    private Path quantize(Path model, String name) throws Exception {
        Path out = directory.resolve(name);
        try (Checkpoint checkpoint = Checkpoint.open(model);
                LanguageModel language = LanguageModel.open(
                        torch, checkpoint, ModelFamilies.architecture(checkpoint), FloatType.FLOAT32)) {
            return TinyModels.artifact(checkpoint, language, TinyModels.options(4, 32, true, true, true, 128), out);
        }
    }

    private static ByteBuffer bytes(Checkpoint checkpoint, String name) throws Exception {
        TensorInfo info = checkpoint.tensors().tensor(name);
        ByteBuffer bytes = ByteBuffer.allocate((int) info.byteLength()).order(ByteOrder.LITTLE_ENDIAN);
        checkpoint.tensors().read(name, 0, bytes);
        return bytes.flip();
    }

    /** DeepSeek-V3 as it is published: weights of blocks in 8 bits, an extra block for prediction ahead. */
    private Path eightBits(TinyCheckpoint tiny) throws Exception {
        float[] ahead = new float[40 * 24];
        for (int i = 0; i < ahead.length; i++) {
            ahead[i] = (float) Math.sin(i);
        }
        tiny.tensors().put("model.layers.2.eh_proj.weight", ahead);
        tiny.tensors().put("model.layers.2.enorm.weight", new float[] {1, 2, 65536});
        Map<String, List<Long>> shapes = new LinkedHashMap<>(tiny.architecture().tensors());
        shapes.put("model.layers.2.eh_proj.weight", List.of(40L, 24L));
        RawCheckpoint raw = new RawCheckpoint(tiny.config().values());
        raw.config.put(
                "quantization_config",
                Map.of(
                        "quant_method", "fp8",
                        "fmt", "e4m3",
                        "weight_block_size", List.of(16, 24),
                        "activation_scheme", "dynamic"));
        for (Map.Entry<String, float[]> tensor : tiny.tensors().entrySet()) {
            List<Long> shape = shapes.getOrDefault(tensor.getKey(), List.of((long) tensor.getValue().length));
            if (tensor.getKey().contains("proj") && shape.size() == 2) {
                raw.eightBits(tensor.getKey(), tensor.getValue(), shape, 16, 24);
            } else {
                raw.floats(tensor.getKey(), tensor.getValue(), shape);
            }
        }
        return raw.write(directory.resolve("eight"));
    }

    @Test
    void weightsOf8BitsAreThoseTheyStandFor() throws Exception {
        TinyCheckpoint tiny = TinyCheckpoint.of(example("deepseek_v3"), 21);
        Path eight = eightBits(tiny); // rounds the weights in tiny, too
        Path plain = tiny.write(directory.resolve("plain"));
        assertThat(logits(eight)).containsExactly(logits(plain));

        Path ours = quantize(eight, "of-eight");
        Path theirs = quantize(plain, "of-plain");
        assertThat(Files.readString(ours.resolve("config.json")))
                .isEqualTo(Files.readString(theirs.resolve("config.json")))
                .contains("\"quant_method\": \"gptq\"")
                .doesNotContain("fp8");
        try (Checkpoint a = Checkpoint.open(ours);
                Checkpoint b = Checkpoint.open(theirs)) {
            assertThat(a.tensors().tensors().keySet())
                    .isEqualTo(b.tensors().tensors().keySet())
                    .noneMatch(name -> name.contains("_scale"));
            for (String name : a.tensors().tensors().keySet()) {
                if (!name.equals("model.layers.2.eh_proj.weight")) {
                    assertThat(bytes(a, name)).as(name).isEqualTo(bytes(b, name));
                }
            }
            assertThat(a.tensors().tensor("model.layers.2.enorm.weight").dtype())
                    .isEqualTo(DType.F32);
            assertThat(a.tensors().tensor("model.layers.2.eh_proj.weight"))
                    .isEqualTo(TensorInfo.of("model.layers.2.eh_proj.weight", DType.BF16, 40, 24));
            ByteBuffer ahead = bytes(a, "model.layers.2.eh_proj.weight");
            for (float value : Objects.requireNonNull(tiny.tensors().get("model.layers.2.eh_proj.weight"))) {
                float stored = Float.intBitsToFloat(ahead.getShort() << 16);
                assertThat(Math.abs(stored - value)).isLessThanOrEqualTo(Math.abs(value) / 256);
            }
        }
    }

    @Test
    void weightsOf8BitsAreRotatedAsTheOnesTheyStandFor() throws Exception {
        TinyCheckpoint tiny = TinyCheckpoint.of(example("qwen3_moe"), 22);
        Path eight = eightBits(tiny);
        Path plain = tiny.write(directory.resolve("plain"));
        try (Checkpoint a = RotatedCheckpoint.of(Checkpoint.open(eight), 3);
                Checkpoint b = RotatedCheckpoint.of(Checkpoint.open(plain), 3)) {
            assertThat(a.config())
                    .extracting(ModelConfig::values)
                    .isEqualTo(b.config().values());
            assertThat(logits(a)).containsExactly(logits(b));
        }
    }

    /** All tensors and config.json of two artifacts are the same. */
    private static void assertSame(Path ours, Path theirs, String... exceptOurs) throws Exception {
        try (Checkpoint a = Checkpoint.open(ours);
                Checkpoint b = Checkpoint.open(theirs)) {
            Set<String> names = new TreeSet<>(a.tensors().tensors().keySet());
            names.removeAll(List.of(exceptOurs));
            assertThat(names).isEqualTo(b.tensors().tensors().keySet());
            for (String name : names) {
                assertThat(bytes(a, name)).as(name).isEqualTo(bytes(b, name));
            }
        }
    }

    /** Copies [rows, columns] to a place in a slab, turned or not. */
    private static void place(
            float[] stack, int slab, int slabRows, int first, float[] matrix, int rows, int columns, boolean turned) {
        for (int r = 0; r < rows; r++) {
            for (int c = 0; c < columns; c++) {
                int at = turned ? c * slabRows + first + r : (first + r) * columns + c;
                stack[slab * slabRows * columns + at] = matrix[r * columns + c];
            }
        }
    }

    @ParameterizedTest(name = "{0} as {2}, turned {3}, fused {4}, {5}, seed 23")
    @CsvSource({
        "qwen3_moe, mlp.experts, mlp.experts, false, true, ''",
        "qwen3_moe, mlp.experts, mlp.experts, true, true, ''",
        "qwen2_moe, mlp.experts, mlp.experts, false, true, .weight",
        "deepseek_v3, mlp.experts, mlp.experts, true, false, .weight",
        "mixtral, block_sparse_moe.experts, mlp.experts, false, true, ''",
        "mixtral, block_sparse_moe.experts, block_sparse_moe.experts, true, true, ''",
        "granitemoe, block_sparse_moe.experts, block_sparse_moe, false, true, .weight",
        "granitemoe, block_sparse_moe.experts, block_sparse_moe.experts, false, true, ''",
        "granitemoeshared, block_sparse_moe.experts, block_sparse_moe, false, true, .weight"
    })
    void stackedExpertsAreThoseOfTheirOwn(
            String family, String path, String stored, boolean turned, boolean fused, String suffix) throws Exception {
        TinyCheckpoint tiny = TinyCheckpoint.of(example(family), 23);
        Path plain = tiny.write(directory.resolve("plain"));
        RawCheckpoint raw = new RawCheckpoint(tiny.config().values());
        Map<String, List<Long>> shapes = tiny.architecture().tensors();
        Map<String, float[]> stacks = new LinkedHashMap<>();
        Map<String, List<Long>> stackShapes = new LinkedHashMap<>();
        tiny.tensors().forEach((name, values) -> {
            int at = name.indexOf("." + path + ".");
            if (at < 0) {
                boolean router = name.endsWith("block_sparse_moe.gate.weight") && stored.startsWith("mlp");
                String renamed = router ? name.replace("block_sparse_moe", "mlp") : name;
                renamed = stored.endsWith("experts") ? renamed.replace("router.layer", "router") : renamed;
                raw.floats(renamed, values, Objects.requireNonNull(shapes.get(name)));
                return;
            }
            String[] parts = name.substring(at + path.length() + 2).split("\\."); // number, module, weight
            String module =
                    parts[1].replace("w1", "gate_proj").replace("w3", "up_proj").replace("w2", "down_proj");
            boolean half = fused && !module.startsWith("down");
            List<Long> shape = Objects.requireNonNull(shapes.get(name));
            int rows = Math.toIntExact(shape.get(0));
            int columns = Math.toIntExact(shape.get(1));
            int slabRows = half ? 2 * rows : rows;
            String stack = name.substring(0, at + 1) + stored + "." + (half ? "gate_up_proj" : module) + suffix;
            if (stored.equals("block_sparse_moe")) {
                stack = stack.replace("gate_up_proj", "input_linear").replace("down_proj", "output_linear");
            }
            float[] all = stacks.computeIfAbsent(stack, key -> new float[4 * slabRows * columns]);
            stackShapes.put(
                    stack,
                    turned
                            ? List.of(4L, (long) columns, (long) slabRows)
                            : List.of(4L, (long) slabRows, (long) columns));
            int first = half && module.startsWith("up") ? rows : 0;
            place(all, Integer.parseInt(parts[0]), slabRows, first, values, rows, columns, turned);
        });
        stacks.forEach((name, values) -> raw.floats(name, values, Objects.requireNonNull(stackShapes.get(name))));
        Path stacked = raw.write(directory.resolve("stacked"));
        assertThat(logits(stacked)).containsExactly(logits(plain));
        assertSame(quantize(stacked, "of-stacked"), quantize(plain, "of-plain"));
    }

    private static TinyCheckpoint textModel(String family, Object... changes) throws Exception {
        Map<String, Object> values = example(family);
        for (int i = 0; i < changes.length; i += 2) {
            values.put((String) changes[i], changes[i + 1]);
        }
        return TinyCheckpoint.of(values, 24);
    }

    @ParameterizedTest(name = "{0} with {2}, {3} and {4}, seed 24")
    @CsvSource({
        "qwen2_vl, qwen2, model., lm_head, model.visual.blocks.0.attn.bias",
        "qwen2_5_vl, qwen2, model.language_model., lm_head, model.visual.blocks.0.mlp.weight",
        "qwen2_5_vl, qwen2, model., lm_head, visual.blocks.0.mlp.weight",
        "qwen3_vl, qwen3, model.language_model., lm_head, model.visual.merger.norm.weight",
        "llava, llama, language_model.model., language_model.lm_head, vision_tower.layers.0.self_attn.q_proj.weight",
        "llava, llama, model.language_model., lm_head, model.vision_tower.layers.0.weight",
        "llava_next, mistral, language_model.model., language_model.lm_head, image_newline",
        "llava_onevision, qwen2, model.language_model., lm_head, model.image_newline",
        "mistral3, mistral, language_model.model., language_model.lm_head, multi_modal_projector.norm.weight",
        "mistral3, mistral, language_model.model., lm_head, multi_modal_projector.norm.weight",
        "gemma3_vision, gemma3, language_model.model., language_model.lm_head, vision_tower.head.weight",
        "gemma3_vision, gemma3, model.language_model., lm_head, model.vision_tower.head.weight",
        "paligemma, gemma, language_model.model., language_model.lm_head, vision_tower.head.weight"
    })
    void textOfAMultimodalModelIsComputedAsByTheTextModelAlone(
            String whole, String family, String prefix, String head, String other) throws Exception {
        Object theta = whole.startsWith("qwen3") ? 5e6 : whole.startsWith("qwen2") ? 1e6 : 10000.0;
        Object eps = whole.startsWith("qwen2") ? 1e-5 : 1e-6;
        TinyCheckpoint text = family.equals("gemma3")
                ? textModel(family)
                : textModel(family, "rope_theta", theta, "rms_norm_eps", eps);
        UnaryOperator<String> renamed =
                name -> name.startsWith("model.") ? prefix + name.substring(6) : name.replace("lm_head", head);
        Path alone = text.write(directory.resolve("alone"));
        RawCheckpoint raw = new RawCheckpoint(example(whole));
        text.tensors()
                .forEach((name, values) -> raw.floats(
                        renamed.apply(name),
                        values,
                        Objects.requireNonNull(text.architecture().tensors().get(name))));
        byte[] picture = {0, -128, 1, 127, 9, 66, 120, 71};
        raw.bytes(other, DType.BF16, picture, List.of(4L));
        Path model = raw.write(directory.resolve("whole"));
        assertThat(logits(model)).containsExactly(logits(alone));

        Path ours = quantize(model, "of-whole");
        Path theirs = quantize(alone, "of-alone");
        try (Checkpoint a = Checkpoint.open(ours);
                Checkpoint b = Checkpoint.open(theirs)) {
            Set<String> names = new TreeSet<>();
            for (String name : b.tensors().tensors().keySet()) {
                names.add(renamed.apply(name));
                assertThat(bytes(a, renamed.apply(name))).as(name).isEqualTo(bytes(b, name));
            }
            names.add(other);
            assertThat(a.tensors().tensors().keySet()).isEqualTo(names);
            assertThat(a.tensors().tensor(other)).isEqualTo(TensorInfo.of(other, DType.BF16, 4));
            assertThat(bytes(a, other)).isEqualTo(ByteBuffer.wrap(picture));
            Map<String, Object> config = new LinkedHashMap<>(a.config().values());
            Map<String, Object> added = new LinkedHashMap<>(config);
            added.keySet().removeAll(example(whole).keySet());
            assertThat(added).containsOnlyKeys("torch_dtype", "tie_word_embeddings", "quantization_config");
            assertThat(((Map<?, ?>) Objects.requireNonNull(config.get("quantization_config")))
                            .containsKey("modules_in_block_to_quantize"))
                    .isEqualTo(!other.endsWith("q_proj.weight"));
            config.keySet().removeAll(added.keySet());
            assertThat(config).isEqualTo(ModelConfig.of(example(whole), "").values());
        }
        assertThat(logits(ours)).containsExactly(logits(theirs));
    }

    @Test
    void layersThatLookAtImagesAreSkippedForTextAndCarriedAlong() throws Exception {
        TinyCheckpoint text = textModel("llama", "rope_theta", 500000.0, "rms_norm_eps", 1e-5);
        Path alone = text.write(directory.resolve("alone"));
        RawCheckpoint raw = new RawCheckpoint(example("mllama"));
        text.tensors().forEach((name, values) -> {
            boolean embedding = name.contains("embed_tokens");
            raw.floats(
                    "language_model." + name.replace("layers.1.", "layers.2."),
                    embedding ? Arrays.copyOf(values, 72 * 64) : values,
                    embedding
                            ? List.of(72L, 64L)
                            : Objects.requireNonNull(
                                    text.architecture().tensors().get(name)));
        });
        String cross = "language_model.model.layers.1.cross_attn.q_proj.weight";
        raw.bytes(cross, DType.F32, new byte[] {1, 2, 3, 4}, List.of(1L));
        Path model = raw.write(directory.resolve("whole"));
        assertThat(logits(model)).containsExactly(logits(alone));
        Path ours = quantize(model, "of-whole");
        assertThat(logits(ours)).containsExactly(logits(quantize(alone, "of-alone")));
        try (Checkpoint a = Checkpoint.open(ours)) {
            assertThat(bytes(a, cross)).isEqualTo(ByteBuffer.wrap(new byte[] {1, 2, 3, 4}));
            assertThat(a.tensors().tensors())
                    .containsKeys(
                            "language_model.model.layers.0.mlp.up_proj.qweight",
                            "language_model.model.layers.2.mlp.up_proj.qweight")
                    .doesNotContainKey("language_model.model.layers.1.mlp.up_proj.qweight");
            assertThat(a.tensors()
                            .tensor("language_model.model.embed_tokens.weight")
                            .shape())
                    .containsExactly(72L, 64L);
        }
    }

    @Test
    void multimodalModelsAreNotRotated() throws Exception {
        TinyCheckpoint text = textModel("llama");
        text.tensors().put("multi_modal_projector.linear_1.weight", new float[4]);
        RawCheckpoint raw = new RawCheckpoint(text.config().values());
        text.tensors()
                .forEach((name, values) ->
                        raw.floats(name, values, text.architecture().tensors().getOrDefault(name, List.of(2L, 2L))));
        try (Checkpoint checkpoint = Checkpoint.open(raw.write(directory))) {
            assertThatThrownBy(() -> RotatedCheckpoint.of(checkpoint, 1))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("llama cannot be rotated: multi_modal_projector.linear_1.weight is no part");
        }
    }
}
