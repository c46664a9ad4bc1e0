package io.gptq4j.hub.transfer;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class PatternsTest {
    private static final List<String> PATHS = List.of(
            "config.json",
            "a/b.json",
            "sub/notes.txt",
            "a.txt",
            "b.txt",
            "A.TXT",
            "[a",
            "a]",
            "-",
            "!",
            "^",
            "a-b",
            "b",
            ".gitattributes",
            "é.json",
            "😀.json",
            "a\nb",
            "m-00001.bin");

    /** What Python's fnmatch.fnmatchcase says of each path; newlines are shown as _. */
    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '`', textBlock = """
            *.json          | config.json;a/b.json;é.json;😀.json
            **/*.json       | a/b.json
            *.TXT           | A.TXT
            sub/            | sub/notes.txt
            sub\\*          | sub/notes.txt
            ?.txt           | a.txt;b.txt
            ?.json          | é.json;😀.json
            [ab].txt        | a.txt;b.txt
            [!a].txt        | b.txt
            a]              | a]
            [a              | [a
            [               | ``
            []              | ``
            [!]             | ``
            []a]            | ``
            [!]a]           | -;!;^;b
            [a-c]           | b
            [c-a]           | ``
            [!c-a]          | -;!;^;b
            [a-]            | -
            [-a]            | -
            [a-b-]          | -;b
            a[-]b           | a-b
            [^a]            | ^
            [!^]            | -;!;b
            [!!]            | -;^;b
            [[a]            | ``
            a*b             | a-b;a_b
            a?b             | a-b;a_b
            m-[0-9]*.bin    | m-00001.bin
            [😀].json        | 😀.json
            😀*              | 😀.json
            a.b             | ``
            .*              | .gitattributes
            (a)             | ``
            a+              | ``
            $               | ``
            ``              | ``
            """)
    void aPatternMeansWhatPythonMeans(String pattern, String expected) {
        Stream<String> matching = PATHS.stream().filter(path -> Patterns.matchesAny(List.of(pattern), path));
        assertThat(matching.map(path -> path.replace('\n', '_')))
                .isEqualTo(expected.isEmpty() ? List.of() : List.of(expected.split(";", -1)));
    }

    @Test
    void aStarMatchesEverything() {
        assertThat(PATHS).allMatch(path -> Patterns.matchesAny(List.of("*"), path));
        assertThat(PATHS).allMatch(path -> Patterns.matchesAny(List.of("nope", "**"), path));
    }

    @Test
    void whatIsAllowedAndNotIgnoredIsChosen() {
        Patterns patterns = Patterns.of(List.of("*.json", "*.txt"), List.of("a/", "A*"));
        assertThat(PATHS.stream().filter(patterns::test))
                .containsExactly("config.json", "sub/notes.txt", "a.txt", "b.txt", "é.json", "😀.json");
    }

    @Test
    void noRestrictionIsNotTheSameAsNothingAllowed() {
        assertThat(Patterns.ALL.test("a")).isTrue();
        assertThat(Patterns.of(List.of(), List.of()).test("a")).isTrue();
        assertThat(new Patterns(Optional.of(List.of()), List.of()).test("a")).isFalse();
    }
}
