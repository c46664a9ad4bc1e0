package io.gptq4j.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ModelConfigTest {
    @TempDir
    Path directory;

    @Test
    void readsEveryKindOfValue() throws IOException {
        ModelConfig config = read("""
                {"model_type": "llama", "hidden_size": 4096, "rope_theta": 1e4, "rms_norm_eps": 1e-05,
                 "max": 32, "tie_word_embeddings": false, "pad_token_id": null,
                 "rope_scaling": {"rope_type": "llama3", "factor": 8.0}}
                """);
        assertThat(config.modelType()).isEqualTo("llama");
        assertThat(config.intValue("hidden_size")).isEqualTo(4096);
        assertThat(config.intValue("none", 7)).isEqualTo(7);
        assertThat(config.intValue("pad_token_id", 7)).isEqualTo(7);
        assertThat(config.doubleValue("rope_theta")).isEqualTo(10000.0);
        assertThat(config.doubleValue("max")).isEqualTo(32.0);
        assertThat(config.doubleValue("none", 0.5)).isEqualTo(0.5);
        assertThat(config.booleanValue("tie_word_embeddings")).isFalse();
        assertThat(config.booleanValue("none", true)).isTrue();
        assertThat(config.stringValue("none", "gelu")).isEqualTo("gelu");
        assertThat(config.has("pad_token_id")).isFalse();
        assertThat(config.has("max")).isTrue();
        assertThat(config.object("none")).isEmpty();
        assertThat(config.object("rope_scaling").orElseThrow().doubleValue("factor"))
                .isEqualTo(8.0);
        assertThat(config.origin()).isEqualTo(directory.resolve("config.json").toString());
    }

    @Test
    void keepsTheFilesOrderAndCannotBeChanged() throws IOException {
        ModelConfig config = read("{\"z\": 1, \"a\": {\"y\": [1, {\"x\": null}], \"b\": 2}, \"m\": null}");
        assertThat(config.values().keySet()).containsExactly("z", "a", "m");
        assertThat(config.values()).hasToString("{z=1, a={y=[1, {x=null}], b=2}, m=null}");
        assertThatThrownBy(() -> config.values().clear()).isInstanceOf(UnsupportedOperationException.class);
        assertThat(config.values().get("a")).isInstanceOfSatisfying(Map.class, nested -> {
            assertThatThrownBy(nested::clear).isInstanceOf(UnsupportedOperationException.class);
            assertThat(nested.get("y"))
                    .isInstanceOfSatisfying(
                            List.class,
                            list -> assertThatThrownBy(list::clear).isInstanceOf(UnsupportedOperationException.class));
        });
    }

    @Test
    void copiesTheValuesItIsMadeOf() throws CheckpointException {
        Map<String, Object> values = new HashMap<>(Map.of("bits", 4));
        ModelConfig config = ModelConfig.of(values, "here");
        values.put("bits", 8);
        assertThat(config.intValue("bits")).isEqualTo(4);
    }

    @Test
    void acceptsNotANumberAsPythonWritesIt() throws IOException {
        ModelConfig config = read("{\"a\": NaN, \"b\": Infinity, \"c\": -Infinity}");
        assertThat(config.doubleValue("a")).isNaN();
        assertThat(config.doubleValue("b")).isEqualTo(Double.POSITIVE_INFINITY);
        assertThat(config.doubleValue("c")).isEqualTo(Double.NEGATIVE_INFINITY);
    }

    @Test
    void namesFileKeyAndFindingInEveryError() throws IOException {
        ModelConfig config =
                read("{\"a\": \"4\", \"b\": 2.5, \"c\": true, \"d\": null, \"e\": 3000000000, \"f\": {\"g\": 1}}");
        String file = directory.resolve("config.json").toString();
        assertError(() -> config.intValue("x"), file + ": key 'x' is missing, expected an integer");
        assertError(() -> config.intValue("d"), file + ": key 'd' is null, expected an integer");
        assertError(
                () -> config.intValue("a"),
                file + ": key 'a' is the string '4', expected an integer of at most 32 bits");
        assertError(
                () -> config.intValue("b", 1),
                file + ": key 'b' is the number '2.5', expected an integer of at most 32 bits");
        assertError(() -> config.intValue("c"), file + ": key 'c' is 'true', expected an integer of at most 32 bits");
        assertError(
                () -> config.intValue("e"),
                file + ": key 'e' is the number '3000000000', expected an integer of at most 32 bits");
        assertError(() -> config.doubleValue("c"), file + ": key 'c' is 'true', expected a number");
        assertError(() -> config.booleanValue("a", true), file + ": key 'a' is the string '4', expected true or false");
        assertError(() -> config.stringValue("b"), file + ": key 'b' is the number '2.5', expected a string");
        assertError(() -> config.object("b"), file + ": key 'b' is the number '2.5', expected an object");
        assertError(
                () -> config.object("f").orElseThrow().stringValue("g"),
                file + ": key 'f.g' is the number '1', expected a string");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "[]",
                "null",
                "3",
                "{",
                "{\"a\":1,}",
                "{\"a\":1,\"a\":2}",
                "{\"x\":{\"a\":1,\"a\":2}}",
                "{} {}",
                "{}x",
                "\ufeff{}",
                "{'a':1}"
            })
    void refusesWhatIsNotOneStrictJsonObject(String json) throws IOException {
        Files.writeString(directory.resolve("config.json"), json);
        assertThatExceptionOfType(CheckpointException.class)
                .isThrownBy(() -> ModelConfig.read(directory.resolve("config.json")))
                .withMessageStartingWith(directory.resolve("config.json") + " is not ");
    }

    @Test
    void refusesWhatIsNotUtf8() throws IOException {
        Path file = directory.resolve("config.json");
        Files.write(file, "{\"a\":\"\u00e9\"}".getBytes(StandardCharsets.ISO_8859_1));
        assertError(() -> ModelConfig.read(file), file + " is not valid UTF-8");
    }

    private interface Access {
        Object get() throws IOException;
    }

    private static void assertError(Access access, String message) {
        assertThatExceptionOfType(CheckpointException.class)
                .isThrownBy(access::get)
                .withMessage(message);
    }

    private ModelConfig read(String json) throws IOException {
        Path file = directory.resolve("config.json");
        Files.writeString(file, json);
        return ModelConfig.read(file);
    }
}
