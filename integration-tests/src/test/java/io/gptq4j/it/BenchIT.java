package io.gptq4j.it;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** {@code bench} at sizes that take a moment: what it measures, not how fast. */
class BenchIT {
    private static final List<String> TINY =
            List.of("--repeats 1 --largest 64 --hidden 64 --ffn 128 --vocab 128 --seqlen 16 --windows 2 --group-size 32"
                    .split(" "));

    @TempDir
    Path scratch;

    @TempDir
    Path models;

    private Cli.Result bench(String... more) throws Exception {
        List<String> arguments = new ArrayList<>(List.of("bench"));
        arguments.addAll(List.of(more));
        arguments.addAll(TINY);
        arguments.addAll(List.of("--scratch", scratch.toString()));
        Cli.Result result = new Cli().run(arguments.toArray(String[]::new));
        assertThat(result.exitCode()).as(result.err()).isZero();
        assertThat(scratch).isEmptyDirectory();
        return result;
    }

    @Test
    void measuresEverySectionOfItAgainstWhatTheMachineCanDo() throws Exception {
        JsonNode result = TinyModel.JSON.readTree(
                bench("kernels", "end-to-end", "scaling", "--json").out());
        assertThat(result.path("kernels").findValuesAsText("kernel"))
                .contains("product float32", "copy", "hessian", "factor", "solve")
                .contains("pack, 4 bits", "unpack, 4 bits", "safetensors read", "sha256");
        for (JsonNode row : result.path("kernels")) {
            assertThat(row.path("seconds").asDouble()).as("%s", row).isPositive();
            assertThat(row.path("times_roof").asDouble())
                    .isCloseTo(row.path("roof").asDouble() / row.path("rate").asDouble(), within(1e-9));
        }
        JsonNode run = result.path("end_to_end").path(0);
        assertThat(run.path("blocks").asInt()).isEqualTo(4);
        assertThat(run.path("windows").asInt()).isEqualTo(2);
        double seconds = run.path("seconds").asDouble();
        assertThat(seconds).isPositive();
        assertThat(run.path("times_floor").asDouble())
                .isCloseTo(seconds / run.path("floor").asDouble(), within(1e-9));
        assertThat(run.path("times_predicted").asDouble())
                .isCloseTo(seconds / run.path("predicted").asDouble(), within(1e-9));
        assertThat(result.path("scaling").findValuesAsText("by")).containsExactly("blocks", "windows");
        for (JsonNode scaling : result.path("scaling")) {
            assertThat(scaling.path("seconds")).hasSize(3);
            assertThat(scaling.path("fit").path("r2").asDouble()).isBetween(0.0, 1.0 + 1e-9);
        }
    }

    @Test
    void takesAModelOfTheUsers() throws Exception {
        Path model = TinyModel.create().write(models.resolve("tiny"));
        Cli.Result result = bench("end-to-end", "--model", model.toString());
        assertThat(result.out()).contains(model.toString(), "time/predicted", "time/floor");
        assertThat(result.err()).contains("2 windows");
    }

    @Test
    void refusesASectionThatThereIsNot() throws Exception {
        Cli.Result result = new Cli().run("bench", "speed");
        assertThat(result.exitCode()).isEqualTo(2);
        assertThat(result.err()).contains("There is no section 'speed'", "kernels, end-to-end or scaling");
    }
}
