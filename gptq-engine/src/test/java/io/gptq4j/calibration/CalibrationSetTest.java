package io.gptq4j.calibration;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** In the tokenizer used here, "\n" is token 201, "a" is 67, and the letters after it count on. */
class CalibrationSetTest {
    private static Tokenizer tokenizer;

    @TempDir
    private Path directory;

    @BeforeAll
    static void open() throws Exception {
        tokenizer = Tokenizer.open(TokenizerTest.TOKENIZER);
    }

    @AfterAll
    static void close() {
        tokenizer.close();
    }

    private Path file(String name, String content) throws Exception {
        return Files.writeString(directory.resolve(name), content);
    }

    private static CalibrationSet read(Path file, int samples, int seqlen, long seed) throws Exception {
        return CalibrationSet.fromFile(file, tokenizer, samples, seqlen, seed);
    }

    /** 26 windows of "x\n", x from a to z: ids 67 201, 68 201, ... */
    private Path alphabet() throws Exception {
        StringBuilder text = new StringBuilder();
        for (char c = 'a'; c <= 'z'; c++) {
            text.append(c).append('\n');
        }
        return file("alphabet.txt", text.toString());
    }

    @Test
    void cutsTextIntoWindowsWithoutOverlapAndDropsTheRest() throws Exception {
        Path text = file("text.txt", "a\nb\nc\nd");
        CalibrationSet set = read(text, 8, 3, 0);
        assertThat(set.windows()).isDeepEqualTo(new int[][] {{67, 201, 68}, {201, 69, 201}});
        assertThat(set.seqlen()).isEqualTo(3);
        assertThat(set.source()).isEqualTo(text.toString());
    }

    @Test
    void choosesTheSameWindowsForTheSameSeedEachOnceAndInOrder() throws Exception {
        Path text = alphabet();
        for (long seed = 0; seed < 20; seed++) {
            int[] first = firstTokens(read(text, 10, 2, seed));
            assertThat(first).as("seed %d", seed).hasSize(10).isSorted().doesNotHaveDuplicates();
            assertThat(firstTokens(read(text, 10, 2, seed))).as("seed %d", seed).isEqualTo(first);
        }
    }

    @Test
    void choosesOtherWindowsForAnotherSeed() throws Exception {
        Path text = alphabet();
        assertThat(firstTokens(read(text, 10, 2, 1))).isNotEqualTo(firstTokens(read(text, 10, 2, 2)));
    }

    @Test
    void choosesEveryWindowSometimes() throws Exception {
        Path text = alphabet();
        boolean[] seen = new boolean[26];
        for (long seed = 0; seed < 40; seed++) {
            for (int token : firstTokens(read(text, 5, 2, seed))) {
                seen[token - 67] = true;
            }
        }
        assertThat(seen).as("seeds 0 to 39").doesNotContain(false);
    }

    @Test
    void takesAllWindowsWhereThereAreNoMoreThanWanted() throws Exception {
        assertThat(firstTokens(read(alphabet(), 26, 2, 3)))
                .startsWith(67, 68, 69)
                .endsWith(92);
        assertThat(firstTokens(read(alphabet(), 1000, 2, 3))).hasSize(26);
    }

    private static int[] firstTokens(CalibrationSet set) {
        return Arrays.stream(set.windows()).mapToInt(window -> window[0]).toArray();
    }

    @Test
    void readsLinesWithTexts() throws Exception {
        Path lines = file("lines.jsonl", "{\"text\": \"a\", \"id\": 7}\n\"b\"\n\n{\"text\": \"c\"}");
        assertThat(read(lines, 9, 3, 0).windows())
                .as("texts are joined by an empty line")
                .isDeepEqualTo(new int[][] {{67, 201, 201}, {68, 201, 201}, {69, 201, 201}});
    }

    @Test
    void readsLinesWithTokenIds() throws Exception {
        Path lines = file("ids.jsonl", "[1, 2, 3]\n{\"input_ids\": [4, 5, 6, 7]}\n[8, 9, 10]\n");
        assertThat(read(lines, 9, 3, 0).windows()).isDeepEqualTo(new int[][] {{1, 2, 3}, {4, 5, 6}, {8, 9, 10}});
    }

    @Test
    void readsAnArrayOfRows() throws Exception {
        Path rows = file("ids.json", "[[1, 2, 3],\n [4, 5, 6, 7], {\"input_ids\": [8, 9, 10]}]");
        assertThat(read(rows, 9, 3, 0).windows()).isDeepEqualTo(new int[][] {{1, 2, 3}, {4, 5, 6}, {8, 9, 10}});
    }

    @Test
    void readsAnArrayOfTexts() throws Exception {
        Path texts = file("texts.JSON", "[\"a\", {\"text\": \"b\"}]");
        assertThat(read(texts, 9, 3, 0).windows()).isDeepEqualTo(new int[][] {{67, 201, 201}, {68, 201, 201}});
    }

    @Test
    void takesTheFirstRowsAndLooksNoFurther() throws Exception {
        Path rows = file("ids.jsonl", "[1, 2]\n[3, 4]\nthis is never read");
        assertThat(read(rows, 2, 2, 0).windows()).isDeepEqualTo(new int[][] {{1, 2}, {3, 4}});
    }

    @Test
    void passesOverRowsShorterThanAWindow() throws Exception {
        Path rows = file("ids.jsonl", "[1, 2]\n[3, 4, 5]\n[]\n");
        assertThat(read(rows, 9, 3, 0).windows()).isDeepEqualTo(new int[][] {{3, 4, 5}});
    }

    @Test
    void saysWhenEveryRowIsTooShort() throws Exception {
        Path rows = file("ids.jsonl", "[1, 2]\n[3]\n");
        assertThatThrownBy(() -> read(rows, 9, 3, 0))
                .isInstanceOf(CalibrationException.class)
                .hasMessage("The calibration text " + rows + " is too short: none of its 2 rows has the 3 tokens of one"
                        + " window; use a longer text or a smaller --seqlen");
    }

    @ParameterizedTest(name = "{0}")
    @CsvSource({"text.txt, a", "empty.txt, ''", "text.jsonl, '\"a\"'", "empty.json, []", "empty.jsonl, ''"})
    void saysWhenTheTextIsShorterThanAWindow(String name, String content) throws Exception {
        Path text = file(name, content);
        assertThatThrownBy(() -> read(text, 1, 64, 0))
                .isInstanceOf(CalibrationException.class)
                .hasMessageContaining(text + " is too short: it has only ")
                .hasMessageContaining("the 64 tokens of one window");
    }

    @ParameterizedTest(name = "{0}: {1}")
    @CsvSource(
            delimiter = '|',
            value = {
                "a.jsonl | {\"text\": \"a | is not valid JSON: | line 1",
                "b.json | [[1, 2], [3, 4] | is not valid JSON: | line 1",
                "c.jsonl | [1, 2] nonsense | is not valid JSON: | line 1",
                "d.jsonl | {\"content\": \"a\"} | value 1 is neither a text | input_ids",
                "e.json | [1, 2, 3] | value 1 is neither a text | input_ids",
                "f.jsonl | [1, 2] null | value 2 is neither a text | input_ids",
                "g.jsonl | [1, \"x\"] | value 1 has a token id that is not a number: \"x\" | value 1",
                "h.jsonl | [1, 2.5] | value 1 has a token id that is not a number: 2.5 | value 1",
                "i.jsonl | [1, 99999999999] | value 1 has a token id that is not a number: 99999999999 | value 1",
                "j.jsonl | [1, null] | value 1 has a token id that is not a number: null | value 1"
            })
    void namesFileAndValueThatCannotBeUsed(String name, String content, String what, String where) throws Exception {
        Path file = file(name, content);
        assertThatThrownBy(() -> read(file, 9, 2, 0))
                .isInstanceOf(CalibrationException.class)
                .hasMessageStartingWith(file.toString())
                .hasMessageContaining(what)
                .hasMessageContaining(where);
    }

    @ParameterizedTest(name = "{0}")
    @CsvSource({"latin1.txt, Grüße, is not UTF-8 text", "latin1.jsonl, '\"Grüße\"', is not valid JSON: Invalid UTF-8"})
    void refusesTextThatIsNotUtf8(String name, String text, String what) throws Exception {
        Path file = directory.resolve(name);
        Files.write(file, text.getBytes(StandardCharsets.ISO_8859_1));
        assertThatThrownBy(() -> read(file, 1, 2, 0))
                .isInstanceOf(CalibrationException.class)
                .hasMessageStartingWith(file.toString())
                .hasMessageContaining(what);
    }

    @Test
    void refusesADirectory() {
        assertThatThrownBy(() -> read(directory, 1, 2, 0))
                .isInstanceOf(CalibrationException.class)
                .hasMessageContaining(directory + " is a directory");
    }

    @ParameterizedTest(name = "{0} windows of {1}")
    @CsvSource({"0, 8", "-1, 8", "1, 1", "1, 0", "1, -5"})
    void refusesSizesThatMakeNoWindow(int samples, int seqlen) throws Exception {
        Path text = alphabet();
        assertThatThrownBy(() -> read(text, samples, seqlen, 0))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining(samples + " windows of " + seqlen);
        assertThatThrownBy(() -> CalibrationSet.embedded(tokenizer, samples, seqlen, 0))
                .isInstanceOf(IllegalArgumentException.class);
    }

    @Test
    void cutsOneEndlessLineAtItsSpaces() throws Exception {
        int words = 800_000; // 2.4 MB: more than is ever held as one line
        Path text = file("line.txt", " th".repeat(words));
        int[] piece = tokenizer.encode(" th th");
        assertThat(piece).hasSize(2);
        int[] tokens = read(text, 1, words, 0).windows()[0];
        assertThat(tokens).hasSize(words).containsOnly(piece[0]);
    }

    @Test
    void readsTextPieceByPieceAsIfItWereOne() throws Exception {
        String line = "The house stood on a hill.\n"; // 8 tokens
        Path text = file("long.txt", line.repeat(25_000)); // 675 KB, several pieces
        CalibrationSet set = read(text, 25_000, 8, 0);
        assertThat(set.windows()).hasDimensions(25_000, 8);
        for (int[] window : set.windows()) {
            assertThat(window).isEqualTo(new int[] {596, 713, 1839, 347, 261, 3159, 16, 201});
        }
    }

    @Test
    void embedsATextOfMoreWindowsThanTheDefaultAsksFor() throws Exception {
        CalibrationSet set = CalibrationSet.embedded(tokenizer, 128, 512, 0);
        assertThat(set.windows()).hasDimensions(128, 512);
        assertThat(CalibrationSet.embedded(tokenizer, 128, 512, 0).windows()).isDeepEqualTo(set.windows());
        int[][] others = CalibrationSet.embedded(tokenizer, 128, 512, 1).windows();
        assertThat(Arrays.deepEquals(others, set.windows())).isFalse();
    }

    @ParameterizedTest(name = "{0} windows of {1} tokens: batches of {2}, the last of {3}")
    @CsvSource({"5, 1024, 2, 1", "4, 1024, 2, 2", "1, 7, 1, 1", "3, 2048, 1, 1", "3, 5000, 1, 1", "300, 10, 204, 96"})
    void fillsBatchesInOrderUpToTheRemainder(int windows, int seqlen, int size, int last) {
        int[][] all = new int[windows][seqlen];
        for (int w = 0; w < windows; w++) {
            all[w][0] = w;
        }
        List<int[][]> batches = CalibrationSet.batches(all, 2048);
        assertThat(batches.stream().flatMap(Arrays::stream).toArray(int[][]::new))
                .isDeepEqualTo(all);
        assertThat(batches.subList(0, batches.size() - 1)).allMatch(batch -> batch.length == size);
        assertThat(batches.get(batches.size() - 1).length).isEqualTo(last);
    }

    @Test
    void takesOtherWindowsAfterItsOwn() {
        CalibrationSet set = new CalibrationSet(new int[][] {{1, 2}}, "text").with(new int[][] {{3, 4}, {5, 6}});
        assertThat(set.windows()).isDeepEqualTo(new int[][] {{1, 2}, {3, 4}, {5, 6}});
        assertThat(set.source()).isEqualTo("text");
    }

    @Test
    void refusesWindowsOfDifferentLengths() {
        assertThatThrownBy(() -> new CalibrationSet(new int[][] {{1, 2}, {1, 2, 3}}, "test"))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("all of one length");
    }
}
