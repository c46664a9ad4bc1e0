package io.gptq4j.calibration;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The ids are those of a plain byte-pair merge loop over the file's own merges, written for this purpose. */
class TokenizerTest {
    static final Path TOKENIZER = Path.of("../examples/tiny-llama/tokenizer.json");

    @TempDir
    private Path directory;

    @Test
    void encodesUmlautsByTheBytesTheyAreMadeOf() throws Exception {
        try (Tokenizer tokenizer = Tokenizer.open(TOKENIZER)) {
            assertThat(tokenizer.encode("Grüße aus Köln: ein schöner Tag."))
                    .containsExactly(
                            41, 84, 130, 123, 130, 256, 71, 261, 422, 978, 130, 117, 78, 80, 28, 304, 264, 2005, 130,
                            117, 1454, 330, 640, 16);
        }
    }

    @Test
    void addsNoSpecialTokensAndNoSpaceInFront() throws Exception {
        try (Tokenizer tokenizer = Tokenizer.open(TOKENIZER)) {
            assertThat(tokenizer.encode("The house stood on a hill."))
                    .containsExactly(596, 713, 1839, 347, 261, 3159, 16);
            assertThat(tokenizer.encode("a")).containsExactly(67);
            assertThat(tokenizer.encode("\n\n")).containsExactly(201, 201);
            assertThat(tokenizer.encode("")).isEmpty();
        }
    }

    @Test
    void knowsTokensThatStandForTextFromOthers() throws Exception {
        try (Tokenizer tokenizer = Tokenizer.open(TOKENIZER)) {
            assertThat(tokenizer.isText(596)).as("The").isTrue();
            assertThat(tokenizer.isText(201)).as("the end of a line").isTrue();
            assertThat(tokenizer.isText(130)).as("half a letter").isTrue();
            assertThat(tokenizer.isText(0)).as("a special token").isFalse();
            assertThat(tokenizer.isText(4096)).as("one that is not there").isFalse();
        }
    }

    @Test
    void neverTruncates() throws Exception {
        try (Tokenizer tokenizer = Tokenizer.open(TOKENIZER)) {
            int[] ids = tokenizer.encode("a\n".repeat(20_000));
            assertThat(ids).hasSize(40_000).endsWith(67, 201);
        }
    }

    @ParameterizedTest(name = "a file of ''{0}''")
    @ValueSource(
            strings = {" ", "{}", "not json", "[1, 2, 3]", "{\"version\": \"1.0\", \"model\": {\"type\": \"New\"}}"})
    void refusesAFileThatIsNoTokenizerByItsName(String content) throws Exception {
        Path file = directory.resolve("tokenizer.json");
        Files.writeString(file, content);
        assertThatThrownBy(() -> Tokenizer.open(file))
                .isInstanceOf(CalibrationException.class)
                .hasMessageStartingWith(file + " is not a usable tokenizer: ");
    }

    @Test
    void saysThatThereIsNoTokenizer() {
        Path file = directory.resolve("tokenizer.json");
        assertThatThrownBy(() -> Tokenizer.open(file))
                .isInstanceOf(IOException.class)
                .hasMessageContaining(file.toString());
    }
}
