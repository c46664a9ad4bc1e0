package io.gptq4j.hub.repo;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class RepoIdTest {
    @Test
    void separatesNamespaceAndName() {
        assertThat(RepoId.parse("meta-llama/Llama-3.2-1B")).isEqualTo(new RepoId("meta-llama", "Llama-3.2-1B"));
    }

    @Test
    void acceptsANameWithoutNamespace() {
        assertThat(RepoId.parse("gpt2")).isEqualTo(new RepoId(null, "gpt2"));
    }

    @ParameterizedTest
    @ValueSource(strings = {"gpt2", "a/b", "_private/_x_", "TheBloke/Llama-2-7B-GPTQ", "o/v1.0_final-2"})
    void printsWhatItParsed(String id) {
        assertThat(RepoId.parse(id)).hasToString(id);
    }

    @ParameterizedTest
    @CsvSource(quoteCharacter = '"', textBlock = """
                    "",                 the name is empty
                    "/name",            the namespace is empty
                    "space/",           the name is empty
                    "a/b/c",            expected namespace/name
                    "datasets/a/b",     expected namespace/name
                    "-a/b",             must not begin or end
                    "a/b.",             must not begin or end
                    "..",               must not begin or end
                    "a/..",             must not begin or end
                    "a/b c",            may hold letters
                    "a/bé",             may hold letters
                    "a\\\\b",           may hold letters
                    "a/b--c",           must not contain
                    "a--b/c",           must not contain
                    "a/b..c",           must not contain
                    "a/b.git",          must not end with .git
                    """)
    void refusesWithTheReason(String id, String reason) {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> RepoId.parse(id))
                .withMessageContaining("'" + id + "' is not a repository id")
                .withMessageContaining(reason);
    }

    @Test
    void allowsNamesOf96CharactersAndNoMore() {
        assertThat(RepoId.parse("o/" + "n".repeat(96)).name()).hasSize(96);
        assertThatIllegalArgumentException()
                .isThrownBy(() -> RepoId.parse("o/" + "n".repeat(97)))
                .withMessageContaining("97 characters");
    }
}
