package io.gptq4j.it;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A model that attacks the solve goes through, and the report says what it took. */
class LadderIT {
    private static final String DOWN = "model.layers.%d.mlp.down_proj";

    @TempDir
    Path directory;

    private final TinyModel tiny = TinyModel.create();
    private Path model = Path.of("");
    private Path ids = Path.of("");

    /**
     * All tokens are the same, so that every Hessian has rank one; four inputs of the first down projection are always zero,
     * and all of the second one's.
     */
    @BeforeEach
    void write() throws Exception {
        float[] embedding = tiny.weight("model.embed_tokens.weight").values();
        for (int i = 64; i < embedding.length; i++) {
            embedding[i] = embedding[i % 64];
        }
        Arrays.fill(tiny.weight("model.layers.0.mlp.up_proj.weight").values(), 0, 4 * 64, 0);
        Arrays.fill(tiny.weight("model.layers.1.mlp.up_proj.weight").values(), 0);
        model = tiny.write(directory.resolve("model"));
        ids = directory.resolve("ids.jsonl");
        int[] row = new int[128];
        Arrays.setAll(row, i -> i * 31 % 4096);
        Files.writeString(ids, (Arrays.toString(row) + "\n").repeat(8));
    }

    /** With enough tokens, and so little damping that it is lost in float32. */
    private Cli.Result damped(Cli cli, Path out, String option) throws Exception {
        return quantize(cli, out, "--samples", "8", "--seqlen", "128", "--damp-percent", "1e-12", option);
    }

    private Cli.Result quantize(Cli cli, Path out, String... more) throws Exception {
        Cli.Result result = run(cli, out, more);
        assertThat(result.exitCode()).as(result.err()).isZero();
        return result;
    }

    private Cli.Result run(Cli cli, Path out, String... more) throws Exception {
        List<String> arguments = new ArrayList<>(List.of("quantize", model.toString(), "--group-size", "32"));
        arguments.addAll(List.of("--calibration", ids.toString(), "--self-samples", "0"));
        arguments.addAll(List.of("--no-eval", "--out", out.toString()));
        arguments.addAll(List.of(more));
        return cli.run(arguments.toArray(String[]::new));
    }

    @Test
    void everyFallbackIsARowOfTheReport() throws Exception {
        Path out = directory.resolve("out");
        Cli.Result result = damped(new Cli(), out, "--json");
        JsonNode report = TinyModel.JSON.readTree(result.out());
        assertThat(report.path("modules")).hasSize(14);
        int damped = 0;
        for (JsonNode row : report.path("fallbacks")) {
            assertThat(row.path("tokens").asInt()).isEqualTo(1024);
            if (row.path("cause").asText().equals("not_positive_definite")) {
                assertThat(row.path("remedy").asText()).isEqualTo("damping");
                assertThat(row.path("amount").asDouble()).isBetween(1e-12, 0.25);
                damped++;
            }
        }
        assertThat(damped).isPositive();
        assertThat(rows(report, DOWN.formatted(0))).contains("dead_columns round_to_nearest 4.0");
        assertThat(rows(report, DOWN.formatted(1))).containsExactly("only_zeros round_to_nearest 128.0");
        assertThat(report.path("modules").path(13).path("fallbacks")).hasSize(1);
        assertThat(result.err())
                .containsPattern("warning: Fallbacks in \\d+ of 14 modules: .*its input was always zero \\(1\\)");

        RawArtifact artifact = RawArtifact.read(out);
        for (int layer = 0; layer < 2; layer++) {
            String down = DOWN.formatted(layer);
            float[][] restored = artifact.module(down).weight();
            float[] original = tiny.weight(down + ".weight").values();
            double kept = 0;
            double all = 0;
            for (int i = 0; i < original.length; i++) {
                if (layer == 1 || i % 128 < 4) {
                    kept += Math.pow(restored[i / 128][i % 128] - original[i], 2);
                    all += Math.pow(original[i], 2);
                }
            }
            assertThat(kept / all).as(down + " keeps its weights").isLessThan(0.02);
        }
    }

    private static List<String> rows(JsonNode report, String module) {
        List<String> rows = new ArrayList<>();
        for (JsonNode row : report.path("fallbacks")) {
            if (row.path("module").asText().equals(module)) {
                rows.add(row.path("cause").asText() + " " + row.path("remedy").asText() + " " + row.path("amount"));
            }
        }
        return rows;
    }

    @Test
    void aReaderGetsATable() throws Exception {
        Cli.Result result = damped(new Cli(), directory.resolve("out"), "--no-sym");
        assertThat(result.out())
                .containsPattern("block +module +tokens +what failed +what held")
                .containsPattern(
                        "1 +model.layers.1.mlp.down_proj +1024 +its input was always zero +128 columns rounded to nearest");
    }

    @ParameterizedTest(name = "{0} threads")
    @ValueSource(strings = {"1", "2"})
    void theLadderGivesTheSameBytesOnAnyNumberOfThreads(String threads) throws Exception {
        Path one = directory.resolve("one");
        Path other = directory.resolve("other");
        damped(new Cli(), one, "--quiet");
        damped(new Cli().with("OMP_NUM_THREADS", threads), other, "--quiet");
        assertThat(other.resolve("model.safetensors")).hasSameBinaryContentAs(one.resolve("model.safetensors"));
    }

    @Test
    void fewTokensAreToldAndExitCodesStayAsTheyAre() throws Exception {
        Cli.Result result = quantize(new Cli(), directory.resolve("out"), "--samples", "1", "--seqlen", "16", "--json");
        JsonNode report = TinyModel.JSON.readTree(result.out());
        assertThat(rows(report, "model.layers.0.self_attn.q_proj").get(0)).startsWith("few_tokens ");
        assertThat(result.err()).contains("few calibration tokens came by");
    }

    @Test
    void anOverflowIsLocatedAndToldWhatMayHelp() throws Exception {
        Arrays.fill(
                tiny.weight("model.layers.1.mlp.up_proj.weight").values(), 6e4f); // finite, but not what it computes
        model = tiny.write(directory.resolve("overflow"));
        Path out = directory.resolve("out");
        Cli.Result result = run(new Cli(), out, "--samples", "8", "--seqlen", "128", "--dtype", "float16", "--quiet");
        assertThat(result.exitCode()).isEqualTo(6);
        assertThat(result.err())
                .contains("Block 1, " + DOWN.formatted(1) + ": its input holds NaN or infinite values (")
                .contains("the first in input channel ")
                .contains("in float16; use --dtype bfloat16 or float32");
        assertThat(out).doesNotExist();
    }
}
