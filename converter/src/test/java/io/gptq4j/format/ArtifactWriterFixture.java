package io.gptq4j.format;

import static org.assertj.core.api.Assertions.assertThat;

import io.gptq4j.checkpoint.Checkpoint;
import io.gptq4j.safetensors.DType;
import io.gptq4j.safetensors.TensorInfo;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.io.TempDir;

/** A test of the writer, with a small source checkpoint and an output that is not there yet. */
abstract class ArtifactWriterFixture {
    private static final int BLOCKS = 11;
    static final List<String> COPIED = List.of(
            "LICENSE",
            "NOTICE.txt",
            "USE_POLICY.md",
            "chat_template.jinja",
            "generation_config.json",
            "merges.txt",
            "modeling_custom.py",
            "qwen.tiktoken",
            "special_tokens_map.json",
            "tiktoken.model",
            "tokenizer.json",
            "tokenizer.model",
            "tokenizer_config.json");
    private static final List<String> LEFT = List.of(
            "README.md", ".gitattributes", "training_args.bin", "optimizer.pt", "model.safetensors.index.json.bak");

    @TempDir
    Path directory;

    Path source;
    Path parent;
    Path out;

    @BeforeEach
    void makeSource() throws IOException {
        source = Files.createDirectory(directory.resolve("source"));
        parent = Files.createDirectory(directory.resolve("parent"));
        out = parent.resolve("model-gptq");
        Files.writeString(source.resolve("config.json"), """
                {"architectures": ["LlamaForCausalLM"], "base_model_name_or_path": "meta/llama",
                 "_name_or_path": "meta/llama-2", "model_type": "llama", "rms_norm_eps": 1e-05, "rope_scaling": null,
                 "tie_word_embeddings": true, "torch_dtype": "bfloat16", "vocab_size": 64}""");
        for (String name : COPIED) {
            Files.writeString(source.resolve(name), "content of " + name);
        }
        for (String name : LEFT) {
            Files.writeString(source.resolve(name), "left behind");
        }
        TestFiles weights = new TestFiles()
                .floats("embed.weight", DType.BF16, new double[64 * 32], 64, 32)
                .floats("norm.weight", DType.F32, new double[] {1, 0.1f, -65504, 1e-9}, 4)
                .raw(
                        TensorInfo.of("position_ids", DType.I64, 1),
                        (byte) 7,
                        (byte) 0,
                        (byte) 0,
                        (byte) 0,
                        (byte) 0,
                        (byte) 0,
                        (byte) 0,
                        (byte) 0x80);
        for (int b = 0; b < BLOCKS; b++) {
            weights.floats("layers." + b + ".proj.weight", DType.BF16, new double[64 * 96], 64, 96)
                    .floats("layers." + b + ".proj.bias", DType.BF16, new double[64], 64);
        }
        weights.write(source.resolve("model.safetensors"));
    }

    static Map<String, String> carried() {
        Map<String, String> carried = new LinkedHashMap<>();
        carried.put("model.embed.weight", "embed.weight");
        carried.put("model.norm.weight", "norm.weight");
        carried.put("model.position_ids", "position_ids");
        for (int b = 0; b < BLOCKS; b++) {
            carried.put("model.layers." + b + ".proj.bias", "layers." + b + ".proj.bias");
        }
        return carried;
    }

    static List<QuantizedLinear> linears(QuantizeConfig config, boolean scattered) {
        List<QuantizedLinear> linears = new ArrayList<>();
        for (int b = 0; b < BLOCKS; b++) {
            linears.add(Linears.random(
                    "model.layers." + b + ".proj",
                    config.bits(),
                    config.groupSize(),
                    96,
                    64,
                    config.sym(),
                    scattered,
                    b));
        }
        return linears;
    }

    static List<ArtifactWriter.ModuleShape> modules() {
        List<ArtifactWriter.ModuleShape> modules = new ArrayList<>();
        for (int b = 0; b < BLOCKS; b++) {
            modules.add(new ArtifactWriter.ModuleShape("model.layers." + b + ".proj", 96, 64));
        }
        return modules;
    }

    static ArtifactWriter.Plan plan(Checkpoint checkpoint, QuantizeConfig config, long shardSize) {
        return new ArtifactWriter.Plan(checkpoint, config, modules(), carried(), shardSize, true, Map.of(), Set.of());
    }

    static ArtifactWriter.Plan plan(Checkpoint checkpoint) {
        return ArtifactWriter.Plan.of(checkpoint, QuantizeConfig.of(4, 32, false, true), modules(), carried(), true);
    }

    void writeAll(Path target, QuantizeConfig config, long shardSize) throws IOException {
        try (Checkpoint checkpoint = Checkpoint.open(source);
                ArtifactWriter writer = ArtifactWriter.create(target, plan(checkpoint, config, shardSize))) {
            for (QuantizedLinear linear : linears(config, config.descAct())) {
                writer.write(linear);
            }
            assertThat(writer.commit()).isEqualTo(target);
        }
    }

    static List<String> names(Path folder) throws IOException {
        try (Stream<Path> files = Files.list(folder)) {
            return files.map(file -> String.valueOf(file.getFileName()))
                    .sorted()
                    .toList();
        }
    }
}
