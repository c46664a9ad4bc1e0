package io.gptq4j.it;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** {@code --rule} and {@code --target-bpw}, from the command line to an artifact that reads back by its rules. */
class RulesIT {
    private static final String MODEL = TinyModel.bundled().toString();
    private static final String DOWN = "model.layers.0.mlp.down_proj";

    @TempDir
    Path directory;

    private Path out() {
        return directory.resolve("out");
    }

    private Cli.Result quantize(String... more) throws Exception {
        List<String> arguments = new ArrayList<>(List.of("quantize", MODEL, "--group-size", "64", "--samples", "16"));
        arguments.addAll(List.of("--seqlen", "128", "--out", out().toString(), "--no-eval", "--json"));
        arguments.addAll(List.of(more));
        return new Cli().run(arguments.toArray(String[]::new));
    }

    private JsonNode json(String... command) throws Exception {
        Cli.Result result = new Cli().run(command);
        assertThat(result.exitCode()).as(result.err()).isZero();
        return TinyModel.JSON.readTree(result.out());
    }

    private double perplexity(Path model) throws Exception {
        Path text = TinyModel.bundled().resolve("../../LICENSE");
        return json("eval", model.toString(), "--text", text.toString(), "--window", "128", "--json")
                .path("perplexity")
                .asDouble();
    }

    @Test
    void modulesWithRulesAreReadBackByThem() throws Exception {
        Cli.Result result = quantize(
                "--rule", ".*\\.down_proj=bits:8,group:32", "--rule", ".*\\.[qkv]_proj=bits:3", "--rule", "-:.*o_proj");
        assertThat(result.exitCode()).as(result.err()).isZero();
        assertThat(result.err())
                .contains("only vLLM and GPTQModel read that")
                .contains("serve this model with --quantization gptq");
        JsonNode config = TinyModel.JSON.readTree(out().resolve("config.json").toFile());
        JsonNode own =
                TinyModel.JSON.readTree(out().resolve("quantize_config.json").toFile());
        assertThat(config.path("quantization_config")).isEqualTo(own);
        assertThat(own.path("bits").asInt()).isEqualTo(4);
        assertThat(own.path("dynamic").path(".*\\.down_proj").path("bits").asInt())
                .isEqualTo(8);
        assertThat(own.path("dynamic").has("-:.*o_proj")).isTrue();

        RawArtifact artifact = RawArtifact.read(out());
        assertThat(artifact.tensor(DOWN + ".qweight").shape()).containsExactly(704 * 8 / 32, 256);
        assertThat(artifact.tensor(DOWN + ".scales").shape()).containsExactly(704 / 32, 256);
        assertThat(artifact.tensors).containsKey("model.layers.5.self_attn.o_proj.weight");

        JsonNode inspected = json("inspect", out().toString(), "--json");
        JsonNode kinds = inspected.path("quantization").path("kinds");
        assertThat(kinds).hasSize(3);
        assertThat(kinds.findValuesAsText("bits")).containsExactlyInAnyOrder("3", "4", "8");
        assertThat(inspected.path("parameters").asLong())
                .isEqualTo(json("inspect", MODEL, "--json").path("parameters").asLong());
        assertThat(inspected.path("problems").toString()).contains("modules have settings of their own");

        assertThat(perplexity(out()) / perplexity(TinyModel.bundled())).isBetween(0.9, 1.1);
        assertThat(Files.readString(out().resolve("README.md")))
                .contains("mixed-bit GPTQ", "| dynamic | `.*\\.down_proj=bits:8,group_size:32` |")
                .doesNotContain("docker run", "from_pretrained", "vllm serve");
    }

    @Test
    void aTargetIsKeptAndTheSameInputGivesTheSameChoice() throws Exception {
        Cli.Result result = quantize("--target-bpw", "3.1");
        assertThat(result.exitCode()).as(result.err()).isZero();
        JsonNode told = TinyModel.JSON.readTree(result.out());
        RawArtifact artifact = RawArtifact.read(out());
        long bytes = artifact.tensors.entrySet().stream()
                .filter(tensor -> tensor.getKey().matches(".*\\.(qweight|qzeros|scales|g_idx)"))
                .mapToLong(tensor -> tensor.getValue().bytes().capacity())
                .sum();
        long weights = 6L * (256 * 512 + 256 * 256 + 3 * 256 * 704); // k and v are 128 wide
        assertThat(8.0 * bytes / weights).isLessThanOrEqualTo(3.1).isGreaterThan(2.9);
        assertThat(told.path("bits_per_weight").asDouble()).isEqualTo(8.0 * bytes / weights);
        assertThat(told.path("rules")).isNotEmpty();
        assertThat(result.err()).contains("Chosen: ").doesNotContain("--quantization gptq");
        assertThat(perplexity(out())).isPositive();

        String first = Files.readString(out().resolve("quantize_config.json"));
        Path moved = Files.move(out(), directory.resolve("first"));
        assertThat(quantize("--target-bpw", "3.1").exitCode()).isZero();
        assertThat(Files.readString(out().resolve("quantize_config.json"))).isEqualTo(first);
        assertThat(Files.mismatch(moved.resolve("model.safetensors"), out().resolve("model.safetensors")))
                .isEqualTo(-1);
    }

    @ParameterizedTest(name = "{0}")
    @ValueSource(
            strings = {
                "--rule|q_proj=bits:8|matches no module",
                "--rule|.*q_proj=bits:5|--rule .*q_proj=bits:5: bits must be 2, 3, 4 or 8, not 5",
                "--rule|.*down=group:128|group_size 128 does not divide the inputs of mlp.down_proj",
                "--target-bpw|2.1|2.1 bits per weight are too few: with all widths at 2",
                "--target-bpw|x|--target-bpw",
                "--target-bpw|3 --bits 4|leave one out",
            })
    void aMistakeIsToldBeforeAnythingIsDone(String row) throws Exception {
        String[] parts = row.split("\\|", 3);
        List<String> arguments = new ArrayList<>(List.of(parts[0]));
        arguments.addAll(List.of(parts[1].split(" ")));
        Cli.Result result = quantize(arguments.toArray(String[]::new));
        assertThat(result.exitCode()).isEqualTo(2);
        assertThat(result.err()).contains(parts[2]);
        assertThat(out()).doesNotExist();
    }
}
