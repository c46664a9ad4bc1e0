package io.gptq4j.hub.repo;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class RepoPathsTest {
    @ParameterizedTest
    @ValueSource(strings = {"a", "a/b.txt", ".gitattributes", "a..b", "...", "é 日本", "a\\b", "con:x", "~", "-rf", " "})
    void whatStaysInsideIsGivenBack(String path) {
        assertThat(RepoPaths.requireSafe(path)).isEqualTo(path);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "/",
                "/a",
                "a/",
                "a//b",
                ".",
                "..",
                "./a",
                "a/./b",
                "../a",
                "a/..",
                "a/../b",
                "\\a",
                "\\\\host\\share",
                "a\\..\\b",
                "..\\a",
                "C:",
                "C:a",
                "c:\\a",
                "a/D:/b",
                "a\0b"
            })
    void whatMayLeaveIsRefusedOnEverySystem(String path) {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> RepoPaths.requireSafe(path))
                .withMessageContaining("is not a path inside a repository");
    }

    @Test
    void messagesAreShortAndOfOneLine() {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> RepoPaths.requireSafe("../\n\u001b[31m" + "x".repeat(10_000)))
                .satisfies(e ->
                        assertThat(e.getMessage()).startsWith("'../??[31mxxx").hasSizeLessThan(350));
    }

    @ParameterizedTest
    @ValueSource(strings = {"e69de29bb2d1d6434b8b29ae775ad8c2e48c5391", "d41d8cd9-3", "_x", "5f3-1a.b", "-"})
    void namesOfBlobsAreGivenBack(String name) {
        assertThat(RepoPaths.requireName(name)).isEqualTo(name);
    }

    @Test
    void namesAreNotTooLong() {
        assertThat(RepoPaths.requireName("a".repeat(128))).hasSize(128);
        assertThatIllegalArgumentException().isThrownBy(() -> RepoPaths.requireName("a".repeat(129)));
    }
}
