package io.gptq4j.format;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.gptq4j.checkpoint.Checkpoint;
import io.gptq4j.safetensors.DType;
import io.gptq4j.safetensors.Half;
import io.gptq4j.safetensors.SafetensorsReader;
import io.gptq4j.safetensors.TensorInfo;
import io.gptq4j.safetensors.TensorSource;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What is written, tensor by tensor, and into which shards. */
class ArtifactWriterTest extends ArtifactWriterFixture {
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
}
