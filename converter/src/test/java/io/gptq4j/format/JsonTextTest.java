package io.gptq4j.format;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.math.BigInteger;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class JsonTextTest {
    @Test
    void looksAsPythonWritesIt() {
        Map<String, Object> object = new LinkedHashMap<>();
        object.put("architectures", List.of("LlamaForCausalLM"));
        object.put("eos_token_id", Arrays.asList(1, null));
        object.put("empty", List.of());
        object.put("rope_scaling", Map.of());
        object.put("tied", true);
        object.put("big", new BigInteger("123456789012345678901234567890"));
        object.put("nested", Map.of("a", List.of(List.of("x", "y"))));

        assertThat(JsonText.of(object)).isEqualTo("""
                        {
                          "architectures": [
                            "LlamaForCausalLM"
                          ],
                          "eos_token_id": [
                            1,
                            null
                          ],
                          "empty": [],
                          "rope_scaling": {},
                          "tied": true,
                          "big": 123456789012345678901234567890,
                          "nested": {
                            "a": [
                              [
                                "x",
                                "y"
                              ]
                            ]
                          }
                        }
                        """);
    }

    /** The right column is what Python's repr gives. */
    @ParameterizedTest
    @CsvSource({
        "1e-05, 1e-05",
        "1e-6, 1e-06",
        "0.0001, 0.0001",
        "10000.0, 10000.0",
        "1e15, 1000000000000000.0",
        "1e16, 1e+16",
        "1.5e300, 1.5e+300",
        "0.1, 0.1",
        "2e23, 2e+23",
        "5e-324, 5e-324",
        "0.01, 0.01",
        "-0.0, -0.0",
        "0.0, 0.0",
        "1.7976931348623157e308, 1.7976931348623157e+308",
        "-2.5, -2.5",
        "NaN, NaN",
        "Infinity, Infinity",
        "-Infinity, -Infinity",
        "0.30000000000000004, 0.30000000000000004",
    })
    void floatsAreShortest(double value, String text) {
        assertThat(JsonText.of(value)).isEqualTo(text + "\n");
    }

    @Test
    void floatsComeBackSeed7() {
        Random random = new Random(7);
        for (int n = 0; n < 2_000; n++) {
            double value = Double.longBitsToDouble(random.nextLong());
            assertThat((Double) Double.parseDouble(JsonText.of(value)))
                    .as("seed 7")
                    .isEqualTo((Double) value);
        }
    }

    @Test
    void stringsAreAsciiAndComeBack() throws Exception {
        String string = "a\"b\\c\n\r\t\b\f\u0000\u001f\u007f é 漢 \ud83d\ude00 \u2028";

        String text = JsonText.of(string);

        assertThat(text)
                .isEqualTo(
                        "\"a\\\"b\\\\c\\n\\r\\t\\b\\f\\u0000\\u001f\\u007f \\u00e9 \\u6f22 \\ud83d\\ude00 \\u2028\"\n");
        assertThat(new ObjectMapper().readValue(text, String.class)).isEqualTo(string);
    }

    @Test
    void refusesWhatIsNoJson() {
        assertThatThrownBy(() -> JsonText.of(Map.of("a", new Object())))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessage("Not a JSON value: java.lang.Object");
    }
}
