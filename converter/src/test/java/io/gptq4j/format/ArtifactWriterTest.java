package io.gptq4j.format;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.gptq4j.checkpoint.Checkpoint;
import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.safetensors.DType;
import io.gptq4j.safetensors.Half;
import io.gptq4j.safetensors.SafetensorsReader;
import io.gptq4j.safetensors.TensorInfo;
import io.gptq4j.safetensors.TensorSource;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ArtifactWriterTest {
    private static final int BLOCKS = 11;
    private static final List<String> COPIED = List.of(
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

    private Path source;
    private Path parent;
    private Path out;

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

    private static Map<String, String> carried() {
        Map<String, String> carried = new LinkedHashMap<>();
        carried.put("model.embed.weight", "embed.weight");
        carried.put("model.norm.weight", "norm.weight");
        carried.put("model.position_ids", "position_ids");
        for (int b = 0; b < BLOCKS; b++) {
            carried.put("model.layers." + b + ".proj.bias", "layers." + b + ".proj.bias");
        }
        return carried;
    }

    private static List<QuantizedLinear> linears(QuantizeConfig config, boolean scattered) {
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

    private static List<ArtifactWriter.ModuleShape> modules() {
        List<ArtifactWriter.ModuleShape> modules = new ArrayList<>();
        for (int b = 0; b < BLOCKS; b++) {
            modules.add(new ArtifactWriter.ModuleShape("model.layers." + b + ".proj", 96, 64));
        }
        return modules;
    }

    private static ArtifactWriter.Plan plan(Checkpoint checkpoint, QuantizeConfig config, long shardSize) {
        return new ArtifactWriter.Plan(checkpoint, config, modules(), carried(), shardSize, true, Map.of(), Set.of());
    }

    private static ArtifactWriter.Plan plan(Checkpoint checkpoint) {
        return ArtifactWriter.Plan.of(checkpoint, QuantizeConfig.of(4, 32, false, true), modules(), carried(), true);
    }

    private void writeAll(Path target, QuantizeConfig config, long shardSize) throws IOException {
        try (Checkpoint checkpoint = Checkpoint.open(source);
                ArtifactWriter writer = ArtifactWriter.create(target, plan(checkpoint, config, shardSize))) {
            for (QuantizedLinear linear : linears(config, config.descAct())) {
                writer.write(linear);
            }
            assertThat(writer.commit()).isEqualTo(target);
        }
    }

    private static List<String> names(Path folder) throws IOException {
        try (Stream<Path> files = Files.list(folder)) {
            return files.map(file -> String.valueOf(file.getFileName()))
                    .sorted()
                    .toList();
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {2, 3, 4, 8})
    void anIndependentReaderFindsTheCodesAndZerosThatWereWritten(int bits) throws IOException {
        for (CheckpointFormat format : CheckpointFormat.values()) {
            QuantizeConfig plain = QuantizeConfig.of(bits, 32, true, false);
            QuantizeConfig config = new QuantizeConfig(
                    bits, 32, 0.01, true, false, false, true, false, "x", format, plain.meta(), List.of(), List.of());
            Path target = parent.resolve(format.jsonName());

            writeAll(target, config, 1 << 30);

            try (SafetensorsReader reader = SafetensorsReader.open(target.resolve("model.safetensors"))) {
                for (QuantizedLinear linear : linears(config, true)) {
                    int[][] qweight = TestFiles.words(reader, linear.name() + ".qweight");
                    int[][] qzeros = TestFiles.words(reader, linear.name() + ".qzeros");
                    ByteBuffer scales = TestFiles.bytes(reader, linear.name() + ".scales");
                    ByteBuffer gIdx = TestFiles.bytes(reader, linear.name() + ".g_idx");

                    assertThat(Linears.codes(qweight, bits)).isDeepEqualTo(linear.codes());
                    assertThat(Linears.zeros(qzeros, bits, format == CheckpointFormat.GPTQ ? 1 : 0))
                            .isDeepEqualTo(linear.zeros());
                    for (int k = 0; k < 3 * 64; k++) {
                        assertThat(scales.getShort()).isEqualTo(linear.scales()[k / 64][k % 64]);
                    }
                    for (int i = 0; i < 96; i++) {
                        assertThat(gIdx.getInt()).isEqualTo(linear.gIdx()[i]);
                    }
                }
            }
        }
    }

    @Test
    void itsOwnReaderFindsModulesAndConfiguration() throws IOException {
        QuantizeConfig config = QuantizeConfig.of(3, 32, true, false);
        writeAll(out, config, 1 << 30);

        try (Checkpoint checkpoint = Checkpoint.open(out)) {
            ArtifactReader reader = ArtifactReader.of(checkpoint);

            assertThat(reader.config()).isEqualTo(config);
            assertThat(reader.modules())
                    .isEqualTo(modules().stream()
                            .map(ArtifactWriter.ModuleShape::name)
                            .toList());
            for (QuantizedLinear linear : linears(config, true)) {
                assertThat(reader.read(linear.name()).codes()).isDeepEqualTo(linear.codes());
            }
        }
    }

    @Test
    void modulesWithSettingsOfTheirOwnComeBackByThem() throws IOException {
        QuantizeConfig plain = QuantizeConfig.of(4, 32, false, true);
        QuantizeConfig config = new QuantizeConfig(
                4,
                32,
                0.01,
                false,
                false,
                true,
                true,
                false,
                null,
                CheckpointFormat.GPTQ,
                plain.meta(),
                List.of(),
                List.of(
                        ModuleRule.parse("model\\.layers\\.0\\.=bits:8,group:-1,sym:false"),
                        ModuleRule.parse(".*\\.1\\.proj=bits:3")));
        List<QuantizedLinear> mixed = new ArrayList<>();
        for (QuantizedLinear linear : linears(plain, false)) {
            QuantizeConfig own = config.forModule(linear.name());
            mixed.add(Linears.random(linear.name(), own.bits(), own.groupSize(), 96, 64, own.sym(), false, 7));
        }
        assertThat(mixed).extracting(QuantizedLinear::bits).startsWith(8, 3, 4);
        try (Checkpoint checkpoint = Checkpoint.open(source);
                ArtifactWriter writer = ArtifactWriter.create(out, plan(checkpoint, config, 1 << 30))) {
            for (QuantizedLinear linear : mixed) {
                writer.write(linear);
            }
            assertThatThrownBy(() -> writer.write(linears(plain, false).get(0)))
                    .hasMessageContaining("has bits 4 and group_size 32, the artifact 8 and -1");
            writer.commit();
        }

        try (Checkpoint checkpoint = Checkpoint.open(out)) {
            ArtifactReader reader = ArtifactReader.of(checkpoint);
            assertThat(reader.config()).isEqualTo(config);
            for (QuantizedLinear linear : mixed) {
                QuantizedLinear found = reader.read(linear.name());
                assertThat(found.bits()).isEqualTo(linear.bits());
                assertThat(found.codes()).isDeepEqualTo(linear.codes());
                assertThat(found.zeros()).isDeepEqualTo(linear.zeros());
                assertThat(found.scales()).isDeepEqualTo(linear.scales());
            }
        }
        assertThat(Files.readString(out.resolve("config.json")))
                .contains(config.toJson().strip().replace("\n", "\n  "));
    }

    @Test
    void carriedFloatsBecomeHalvesAndIntegersStay() throws IOException {
        writeAll(out, QuantizeConfig.of(4, 32, false, true), 1 << 30);

        try (SafetensorsReader reader = SafetensorsReader.open(out.resolve("model.safetensors"))) {
            TensorSource tensors = reader;
            assertThat(reader.metadata()).isEqualTo(Map.of("format", "pt"));
            assertThat(tensors.tensors().get("model.embed.weight"))
                    .isEqualTo(TensorInfo.of("model.embed.weight", DType.F16, 64, 32));
            assertThat(tensors.tensors().get("model.layers.3.proj.bias"))
                    .isEqualTo(TensorInfo.of("model.layers.3.proj.bias", DType.F16, 64));
            ByteBuffer norm = TestFiles.bytes(tensors, "model.norm.weight");
            assertThat(norm.getShort()).isEqualTo((short) 0x3c00);
            assertThat(norm.getShort()).isEqualTo((short) 0x2e66);
            assertThat(norm.getShort()).isEqualTo((short) 0xfbff);
            assertThat(norm.getShort()).isZero();
            assertThat(TestFiles.bytes(tensors, "model.position_ids").getLong()).isEqualTo(0x8000000000000007L);
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"F64", "F32", "BF16", "F16"})
    void carriesTensorsLargerThanABuffer(String dtype) throws IOException {
        int count = (4 << 20) + 3;
        double[] values = new double[count];
        Random random = new Random(11);
        for (int k = 0; k < count; k++) {
            values[k] = random.nextInt(256) - 128;
        }
        new TestFiles()
                .floats("embed.weight", DType.valueOf(dtype), values, count)
                .write(source.resolve("model.safetensors"));
        try (Checkpoint checkpoint = Checkpoint.open(source);
                ArtifactWriter writer = ArtifactWriter.create(
                        out,
                        ArtifactWriter.Plan.of(
                                checkpoint,
                                QuantizeConfig.of(4, 32, false, true),
                                List.of(),
                                Map.of("e", "embed.weight"),
                                true))) {
            writer.commit();
        }

        try (SafetensorsReader reader = SafetensorsReader.open(out.resolve("model.safetensors"))) {
            ByteBuffer halves = TestFiles.bytes(reader, "e");
            for (int k = 0; k < count; k++) {
                if (Half.toFloat(halves.getShort()) != values[k]) {
                    assertThat(k).as("seed 11: first wrong element").isEqualTo(-1);
                }
            }
        }
    }

    @Test
    void copiesTokenizerCodeAndLicencesAndNothingElse() throws IOException {
        writeAll(out, QuantizeConfig.of(4, 32, false, true), 1 << 30);

        List<String> expected = new ArrayList<>(COPIED);
        expected.addAll(List.of("config.json", "model.safetensors", "quantize_config.json"));
        Collections.sort(expected);
        assertThat(names(out)).isEqualTo(expected);
        for (String name : COPIED) {
            assertThat(out.resolve(name)).hasContent("content of " + name);
        }
        assertThat(names(parent)).containsExactly("model-gptq");
    }

    @Test
    void followsTheLinksOfAHubCache() throws IOException {
        Path blob = Files.writeString(directory.resolve("blob"), "the tokenizer");
        Files.delete(source.resolve("tokenizer.json"));
        Files.createSymbolicLink(source.resolve("tokenizer.json"), blob);

        writeAll(out, QuantizeConfig.of(4, 32, false, true), 1 << 30);

        assertThat(Files.isSymbolicLink(out.resolve("tokenizer.json"))).isFalse();
        assertThat(out.resolve("tokenizer.json")).hasContent("the tokenizer");
    }

    @Test
    void configKeepsItsKeysAndGainsTheQuantizationObject() throws IOException {
        writeAll(out, QuantizeConfig.of(4, 32, false, true), 1 << 30);

        assertThat(Files.readString(out.resolve("config.json"))).isEqualTo("""
                        {
                          "architectures": [
                            "LlamaForCausalLM"
                          ],
                          "_name_or_path": "meta/llama-2",
                          "model_type": "llama",
                          "rms_norm_eps": 1e-05,
                          "rope_scaling": null,
                          "tie_word_embeddings": true,
                          "torch_dtype": "float16",
                          "vocab_size": 64,
                          "quantization_config": {
                            "bits": 4,
                            "group_size": 32,
                            "damp_percent": 0.01,
                            "desc_act": false,
                            "static_groups": false,
                            "sym": true,
                            "true_sequential": true,
                            "lm_head": false,
                            "model_name_or_path": null,
                            "model_file_base_name": "model",
                            "quant_method": "gptq",
                            "checkpoint_format": "gptq",
                            "pack_dtype": "int32",
                            "meta": {}
                          }
                        }
                        """);
        ObjectMapper json = new ObjectMapper();
        JsonNode block = json.readTree(out.resolve("config.json").toFile()).get("quantization_config");
        assertThat(block.toString())
                .isEqualTo(json.readTree(out.resolve("quantize_config.json").toFile())
                        .toString());
    }

    @Test
    void configIsTruthfulAboutTiesAndTypes() throws IOException {
        Files.writeString(source.resolve("config.json"), "{\"dtype\": \"bfloat16\", \"tie_word_embeddings\": true}");
        Map<String, Object> entries = Map.of("vocab_size", 99);
        try (Checkpoint checkpoint = Checkpoint.open(source);
                ArtifactWriter writer = ArtifactWriter.create(
                        out,
                        new ArtifactWriter.Plan(
                                checkpoint,
                                QuantizeConfig.of(4, 32, false, true),
                                List.of(),
                                carried(),
                                1 << 30,
                                false,
                                entries,
                                Set.of()))) {
            writer.commit();
        }

        JsonNode config = new ObjectMapper().readTree(out.resolve("config.json").toFile());
        assertThat(config.get("tie_word_embeddings").booleanValue()).isFalse();
        assertThat(config.get("dtype").textValue()).isEqualTo("float16");
        assertThat(config.get("torch_dtype").textValue()).isEqualTo("float16");
        assertThat(config.get("vocab_size").intValue()).isEqualTo(99);
    }

    @Test
    void shardsFillBlockByBlock() throws IOException {
        long module = 96 / 8 * 64 * 4 + 3 * 8 * 4 + 3 * 64 * 2 + 96 * 4;
        long embedding = 64 * 32 * 2; // larger than a shard may be
        long block = module + 64 * 2;
        QuantizeConfig config = QuantizeConfig.of(4, 32, false, true);

        writeAll(out, config, 2 * block);

        ObjectMapper json = new ObjectMapper();
        JsonNode index =
                json.readTree(out.resolve("model.safetensors.index.json").toFile());
        assertThat(index.get("metadata").get("total_size").longValue()).isEqualTo(embedding + 11 * block + 8 + 8);
        Map<String, String> fileOf = new TreeMap<>();
        index.get("weight_map")
                .properties()
                .forEach(entry -> fileOf.put(entry.getKey(), entry.getValue().textValue()));
        assertThat(fileOf).hasSize(11 * 5 + 3);
        assertThat(fileOf.get("model.embed.weight")).isEqualTo("model-00001-of-00007.safetensors");
        assertThat(fileOf.get("model.layers.0.proj.qweight")).isEqualTo("model-00001-of-00007.safetensors");
        assertThat(fileOf.get("model.layers.10.proj.scales")).isEqualTo("model-00007-of-00007.safetensors");
        assertThat(fileOf.get("model.norm.weight")).isEqualTo("model-00007-of-00007.safetensors");
        for (String file : names(out)) {
            if (file.endsWith(".safetensors")) {
                try (SafetensorsReader reader = SafetensorsReader.open(out.resolve(file))) {
                    assertThat(reader.tensors().values().stream()
                                    .mapToLong(TensorInfo::byteLength)
                                    .sum())
                            .isLessThanOrEqualTo(2 * block);
                    assertThat(reader.metadata()).isEqualTo(Map.of("format", "pt"));
                    for (String tensor : reader.tensors().keySet()) {
                        assertThat(fileOf.remove(tensor)).as(tensor).isEqualTo(file);
                    }
                }
            }
        }
        assertThat(fileOf).isEmpty();
        try (Checkpoint checkpoint = Checkpoint.open(out)) {
            ArtifactReader reader = ArtifactReader.of(checkpoint);
            for (QuantizedLinear linear : linears(config, false)) {
                assertThat(reader.read(linear.name()).codes()).isDeepEqualTo(linear.codes());
            }
        }
    }

    @Test
    void aTensorLargerThanAShardGetsAFileOfItsOwn() throws IOException {
        writeAll(out, QuantizeConfig.of(4, 32, false, true), 1000);

        try (Checkpoint checkpoint = Checkpoint.open(out)) {
            for (String name : List.of("model.embed.weight", "model.layers.0.proj.qweight")) {
                Path file = Path.of(checkpoint.tensors().location(name));
                try (SafetensorsReader reader = SafetensorsReader.open(out.resolve(file.getFileName()))) {
                    assertThat(reader.tensors()).containsOnlyKeys(name);
                }
            }
        }
    }

    @Test
    void theSameInputGivesTheSameBytesInAnyOrderAndFromManyThreads() throws Exception {
        QuantizeConfig config = QuantizeConfig.of(4, 32, false, true);
        writeAll(out, config, 8000);
        Path second = parent.resolve("second");
        List<QuantizedLinear> shuffled = new ArrayList<>(linears(config, false));
        Collections.shuffle(shuffled, new Random(3));
        ExecutorService threads = Executors.newFixedThreadPool(4);
        try (Checkpoint checkpoint = Checkpoint.open(source);
                ArtifactWriter writer = ArtifactWriter.create(second, plan(checkpoint, config, 8000))) {
            List<Future<?>> writes = new ArrayList<>();
            for (QuantizedLinear linear : shuffled) {
                writes.add(threads.submit(() -> {
                    writer.write(linear);
                    return linear;
                }));
            }
            for (Future<?> write : writes) {
                write.get();
            }
            writer.commit();
        } finally {
            threads.shutdown();
        }

        assertThat(names(second)).isEqualTo(names(out)).hasSizeGreaterThan(5);
        for (String name : names(out)) {
            assertThat(second.resolve(name)).hasSameBinaryContentAs(out.resolve(name));
        }
    }

    @Test
    void anEmptyDirectoryMayBeTheOutput() throws IOException {
        Files.createDirectory(out);
        writeAll(out, QuantizeConfig.of(4, 32, false, true), 1 << 30);
        assertThat(out.resolve("model.safetensors")).exists();
    }

    @Test
    void aLinkToAnEmptyDirectoryMayBeTheOutput() throws IOException {
        Path real = Files.createDirectory(directory.resolve("real"));
        Files.createSymbolicLink(out, real);

        writeAll(out, QuantizeConfig.of(4, 32, false, true), 1 << 30);

        assertThat(Files.isSymbolicLink(out)).isTrue();
        assertThat(real.resolve("model.safetensors")).exists();
    }

    @Test
    void missingParentsAreCreated() throws IOException {
        Path deep = parent.resolve("a/b/c");
        writeAll(deep, QuantizeConfig.of(4, 32, false, true), 1 << 30);
        assertThat(deep.resolve("model.safetensors")).exists();
    }

    @Test
    void refusesAnOutputThatIsTakenBeforeAnyWork() throws IOException {
        Files.createDirectory(out);
        Path kept = Files.writeString(out.resolve("kept"), "mine");
        try (Checkpoint checkpoint = Checkpoint.open(source)) {
            assertThatThrownBy(() -> ArtifactWriter.create(out, plan(checkpoint)))
                    .isInstanceOf(FileAlreadyExistsException.class)
                    .hasMessage(out + ": the output is not empty: choose another directory or empty this one");
            assertThatThrownBy(() -> ArtifactWriter.create(kept, plan(checkpoint)))
                    .isInstanceOf(FileAlreadyExistsException.class)
                    .hasMessage(kept + ": the output is there already and is no directory: choose another name");
        }
        assertThat(kept).hasContent("mine");
        assertThat(names(parent)).containsExactly("model-gptq");
    }

    @Test
    void refusesAnOutputThatIsTakenMeanwhileAndCommitsOnceItIsFree() throws IOException {
        try (Checkpoint checkpoint = Checkpoint.open(source);
                ArtifactWriter writer = ArtifactWriter.create(out, plan(checkpoint))) {
            for (QuantizedLinear linear : linears(QuantizeConfig.of(4, 32, false, true), false)) {
                writer.write(linear);
            }
            Files.createDirectory(out);
            Path foreign = Files.writeString(out.resolve("foreign"), "theirs");

            assertThatThrownBy(writer::commit).isInstanceOf(FileAlreadyExistsException.class);
            assertThat(foreign).hasContent("theirs");
            Files.delete(foreign);
            writer.commit();
        }
        assertThat(out.resolve("model.safetensors")).exists();
        assertThat(names(parent)).containsExactly("model-gptq");
    }

    @Test
    void refusesASecondWriterOfTheSameOutput() throws IOException {
        try (Checkpoint checkpoint = Checkpoint.open(source);
                ArtifactWriter writer = ArtifactWriter.create(out, plan(checkpoint))) {
            assertThatThrownBy(() -> ArtifactWriter.create(out, plan(checkpoint)))
                    .isInstanceOf(FileAlreadyExistsException.class)
                    .hasMessage(out + ": the output is being written by another run: wait for it or choose another"
                            + " directory");
            for (QuantizedLinear linear : linears(QuantizeConfig.of(4, 32, false, true), false)) {
                writer.write(linear);
            }
            writer.commit();
        }
        assertThat(out.resolve("model.safetensors")).exists();
    }

    @Test
    void removesWhatAKilledRunLeft() throws IOException {
        Path partial = Files.createDirectories(parent.resolve(".model-gptq.partial/deep"));
        Files.writeString(partial.resolve("x"), "half a model");
        Files.writeString(parent.resolve(".model-gptq.partial.lock"), "");

        writeAll(out, QuantizeConfig.of(4, 32, false, true), 1 << 30);

        assertThat(names(parent)).containsExactly("model-gptq");
        assertThat(out.resolve("deep")).doesNotExist();
    }

    @Test
    void leavesNothingWithoutACommit() throws IOException {
        try (Checkpoint checkpoint = Checkpoint.open(source);
                ArtifactWriter writer = ArtifactWriter.create(out, plan(checkpoint))) {
            writer.write(linears(QuantizeConfig.of(4, 32, false, true), false).get(0));
            assertThat(out).doesNotExist();
            assertThat(names(parent)).containsExactly(".model-gptq.partial", ".model-gptq.partial.lock");
        }
        assertThat(names(parent)).isEmpty();
    }

    @Test
    void isCompleteAndCanBeAddedToBeforeItHasItsName() throws IOException {
        try (Checkpoint checkpoint = Checkpoint.open(source);
                ArtifactWriter writer = ArtifactWriter.create(out, plan(checkpoint))) {
            for (QuantizedLinear linear : linears(QuantizeConfig.of(4, 32, false, true), false)) {
                writer.write(linear);
            }
            Path staged = writer.complete();
            assertThat(out).doesNotExist();
            try (Checkpoint complete = Checkpoint.open(staged)) {
                assertThat(ArtifactReader.of(complete).modules()).hasSize(11);
            }
            writer.add("README.md", "Größe\r\n");
            assertThatThrownBy(() -> writer.add("config.json", "{}")).isInstanceOf(FileAlreadyExistsException.class);
            for (String name : List.of("", ".", "..", "../x", "a/b", "/x")) {
                assertThatThrownBy(() -> writer.add(name, "")).isInstanceOf(IllegalArgumentException.class);
            }
            writer.commit();
        }
        assertThat(out.resolve("README.md")).hasBinaryContent("Größe\r\n".getBytes(StandardCharsets.UTF_8));
        assertThat(names(parent)).containsExactly("model-gptq");
    }

    @Test
    void refusesToCommitAnIncompleteArtifact() throws IOException {
        try (Checkpoint checkpoint = Checkpoint.open(source);
                ArtifactWriter writer = ArtifactWriter.create(out, plan(checkpoint))) {
            for (QuantizedLinear linear : linears(QuantizeConfig.of(4, 32, false, true), false)) {
                if (!linear.name().contains(".7.")) {
                    writer.write(linear);
                }
            }
            assertThatThrownBy(writer::commit)
                    .isInstanceOf(IllegalStateException.class)
                    .hasMessage("Module model.layers.7.proj was not written, so " + out
                            + " would be incomplete: write all 11 modules before the commit");
        }
        assertThat(names(parent)).isEmpty();
    }

    @ParameterizedTest
    @ValueSource(strings = {"F64", "F32", "BF16"})
    void refusesAValueBeyondHalfPrecisionAndLeavesNothing(String dtype) throws IOException {
        new TestFiles()
                .floats(
                        "embed.weight",
                        DType.valueOf(dtype),
                        new double[] {1, Double.NEGATIVE_INFINITY, Double.NaN, 65280, -131072, 3},
                        6)
                .write(source.resolve("model.safetensors"));
        try (Checkpoint checkpoint = Checkpoint.open(source)) {
            ArtifactWriter.Plan plan = ArtifactWriter.Plan.of(
                    checkpoint, QuantizeConfig.of(4, 32, false, true), List.of(), Map.of("e", "embed.weight"), true);

            assertThatThrownBy(() -> ArtifactWriter.create(out, plan))
                    .isInstanceOf(CheckpointException.class)
                    .hasMessage(source.resolve("model.safetensors")
                            + ": element 4 of tensor embed.weight is -131072.0, beyond the 65504 of F16: this model"
                            + " cannot be stored in half precision");
        }
        assertThat(names(parent)).isEmpty();
    }

    @Test
    void saysBeforehandThatTheDiskIsTooSmall() throws IOException {
        try (Checkpoint checkpoint = Checkpoint.open(source)) {
            ArtifactWriter.Plan plan = ArtifactWriter.Plan.of(
                    checkpoint,
                    QuantizeConfig.of(8, -1, false, true),
                    List.of(new ArtifactWriter.ModuleShape("m", 1 << 30, 1 << 28)),
                    Map.of(),
                    true);

            assertThatThrownBy(() -> ArtifactWriter.create(out, plan))
                    .isInstanceOf(IOException.class)
                    .hasMessageMatching(
                            "Too little space for \\Q" + out + "\\E: its tensors need 288230381251985408 bytes,"
                                    + " only \\d+ are free; free some or choose another disk");
        }
        assertThat(names(parent)).isEmpty();
    }

    @Test
    void refusesAPlanThatDoesNotFitTheSource() throws IOException {
        try (Checkpoint checkpoint = Checkpoint.open(source)) {
            QuantizeConfig config = QuantizeConfig.of(4, 32, false, true);
            List<ArtifactWriter.ModuleShape> odd = List.of(new ArtifactWriter.ModuleShape("m", 96, 40));
            assertThatThrownBy(() ->
                            ArtifactWriter.create(out, ArtifactWriter.Plan.of(checkpoint, config, odd, Map.of(), true)))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessage("Module m: inputs and outputs must be multiples of 32 to be packed, not 96 and 40");
            assertThatThrownBy(() -> ArtifactWriter.create(
                            out, ArtifactWriter.Plan.of(checkpoint, config, modules(), Map.of("x", "y"), true)))
                    .isInstanceOf(CheckpointException.class)
                    .hasMessage("Tensor y is missing in " + source + ": it is needed as x");
            Map<String, String> twice = Map.of("model.layers.3.proj.weight", "layers.3.proj.weight");
            assertThatThrownBy(() -> ArtifactWriter.create(
                            out, ArtifactWriter.Plan.of(checkpoint, config, modules(), twice, true)))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessage("Tensor model.layers.3.proj.weight is to be quantized and carried over, too");
            Map<String, String> clash = Map.of("model.layers.3.proj.scales", "norm.weight");
            assertThatThrownBy(() -> ArtifactWriter.create(
                            out, ArtifactWriter.Plan.of(checkpoint, config, modules(), clash, true)))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessage("Two tensors of the artifact are named model.layers.3.proj.scales");
        }
        assertThat(names(parent)).isEmpty();
    }

    @Test
    void refusesATypeThatNoConsumerExpects() throws IOException {
        new TestFiles()
                .raw(TensorInfo.of("embed.weight", DType.F8_E4M3, 2), (byte) 1, (byte) 2)
                .write(source.resolve("model.safetensors"));
        try (Checkpoint checkpoint = Checkpoint.open(source)) {
            ArtifactWriter.Plan plan = ArtifactWriter.Plan.of(
                    checkpoint, QuantizeConfig.of(4, 32, false, true), List.of(), Map.of("e", "embed.weight"), true);
            assertThatThrownBy(() -> ArtifactWriter.create(out, plan))
                    .isInstanceOf(CheckpointException.class)
                    .hasMessageEndingWith(
                            "tensor embed.weight is F8_E4M3, expected F16, BF16, F32, F64, an integer type"
                                    + " or BOOL");
        }
    }

    @Test
    void refusesModulesThatContradictThePlan() throws IOException {
        String name = "model.layers.0.proj";
        try (Checkpoint checkpoint = Checkpoint.open(source);
                ArtifactWriter writer = ArtifactWriter.create(out, plan(checkpoint))) {
            assertRefused(
                    writer,
                    Linears.random("other", 4, 32, 96, 64, true, false, 1),
                    "Module other: is not among the modules of this artifact");
            assertRefused(
                    writer,
                    Linears.random(name, 4, 32, 64, 96, true, false, 1),
                    "Module " + name + ": has 64 inputs and 96 outputs, planned were 96 and 64");
            assertRefused(
                    writer,
                    Linears.random(name, 8, 32, 96, 64, true, false, 1),
                    "Module " + name + ": has bits 8 and group_size 32, the artifact 4 and 32");
            assertRefused(
                    writer,
                    Linears.random(name, 4, 64, 96, 64, true, false, 1),
                    "Module " + name + ": has bits 4 and group_size 64, the artifact 4 and 32");
            QuantizedLinear scattered = Linears.random(name, 4, 32, 96, 64, true, false, 1);
            scattered.gIdx()[40] = 2;
            assertRefused(
                    writer,
                    scattered,
                    "Module " + name + ": g_idx[40] is 2, but kernels ignore g_idx where desc_act is false");
            QuantizedLinear asymmetric = Linears.random(name, 4, 32, 96, 64, true, false, 1);
            asymmetric.zeros()[2][63] = 7;
            assertRefused(
                    writer,
                    asymmetric,
                    "Module " + name + ": a zero point of group 2 is 7, but kernels assume 8 where sym is true");

            writer.write(Linears.random(name, 4, 32, 96, 64, true, false, 1));
            assertRefused(
                    writer,
                    Linears.random(name, 4, 32, 96, 64, true, false, 1),
                    "Module " + name + ": was written before");
        }
    }

    private static void assertRefused(ArtifactWriter writer, QuantizedLinear linear, String message) {
        assertThatThrownBy(() -> writer.write(linear))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessage(message);
    }
}
