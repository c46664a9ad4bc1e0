package io.gptq4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.time.Instant;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class CacheCommandsTest {
    private static final String OLD = "1111111111111111111111111111111111111111";
    private static final String NEW = "2222222222222222222222222222222222222222";

    /** What {@code git hash-object} says of {@code hello} with a line end. */
    private static final String HELLO = "ce013625030ba8dba906f756967f9e9ca394464a";

    @TempDir
    Path home;

    private final StubHub hub = StubHub.start();
    private TestConsole test = TestConsole.piped();

    /** acme/tiny in two revisions, 2 MB and 6 bytes, of which only the second has a ref; data of 5 bytes, read long ago. */
    @BeforeEach
    void fillCache() throws IOException {
        file("models--acme--tiny/blobs/" + HELLO, "hello\n");
        file("models--acme--tiny/blobs/large", "x".repeat(2_000_000));
        link("models--acme--tiny/snapshots/" + OLD + "/w.bin", "../../blobs/large");
        link("models--acme--tiny/snapshots/" + NEW + "/hello.txt", "../../blobs/" + HELLO);
        file("models--acme--tiny/refs/main", NEW);
        Path data = file("datasets--acme--data/snapshots/" + NEW + "/d.txt", "12345");
        file("datasets--acme--data/refs/v1", NEW);
        FileTime longAgo = FileTime.from(Instant.parse("2020-01-01T00:00:00Z"));
        Files.setAttribute(data, "lastAccessTime", longAgo);
        Files.setLastModifiedTime(data, longAgo);
    }

    @AfterEach
    void stopHub() {
        hub.close();
    }

    private Path file(String path, String content) throws IOException {
        Path file = home.resolve("hub").resolve(path);
        Files.createDirectories(file.getParent());
        return Files.writeString(file, content);
    }

    private void link(String path, String target) throws IOException {
        Path link = home.resolve("hub").resolve(path);
        Files.createDirectories(link.getParent());
        Files.createSymbolicLink(link, Path.of(target));
    }

    private int run(String... args) {
        return run(Terminal.NONE, args);
    }

    private int run(Terminal terminal, String... args) {
        test = new TestConsole(Map.of("HF_HOME", home.toString(), "HF_ENDPOINT", hub.url()), 0, terminal);
        return Main.run(test.console, args);
    }

    @Test
    void lsPrintsATableAndASum() {
        assertThat(run("cache", "ls")).isZero();
        assertThat(test.out()
                        .lines()
                        .filter(line -> !line.startsWith("-"))
                        .map(line -> line.replaceAll("now|\\d+ (second|minute|year)s? ago", "AGO"))
                        .map(line -> line.replaceAll(" +", " ")))
                .containsExactly(
                        "ID SIZE LAST_ACCESSED LAST_MODIFIED REFS",
                        "dataset/acme/data 5.0 AGO AGO v1",
                        "model/acme/tiny 2.0M AGO AGO main",
                        "",
                        "Found 2 repo(s) for a total of 3 revision(s) and 2.0M on disk.");
        assertThat(test.err()).isEmpty();
    }

    @Test
    void lsOfRevisionsHasALineForEach() throws IOException {
        assertThat(run("cache", "ls", "--revisions", "--json", "-f", "type=model"))
                .isZero();
        JsonNode rows = new ObjectMapper().readTree(test.out());
        assertThat(rows).hasSize(2);
        assertThat(rows.get(0).fieldNames())
                .toIterable()
                .containsExactly(
                        "id", "repo_id", "repo_type", "revision", "snapshot_path", "size", "last_modified", "refs");
        assertThat(rows.at("/0/revision").asText()).isEqualTo(OLD);
        assertThat(rows.at("/0/size").asLong()).isEqualTo(2_000_000);
        assertThat(rows.at("/1/refs/0").asText()).isEqualTo("main");
        assertThat(run("cache", "ls", "--revisions")).isZero();
        assertThat(test.out()).contains("REVISION", OLD, "3 revision(s)");
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
                    ''                                 | dataset/acme/data,model/acme/tiny
                    -f size>1MB                        | model/acme/tiny
                    -f size<=5                         | dataset/acme/data
                    -f accessed>1y                     | dataset/acme/data
                    -f modified<1d                     | model/acme/tiny
                    -f type!=model                     | dataset/acme/data
                    -f refs=main                       | model/acme/tiny
                    -f refs=main -f size<1kB           | ''
                    --sort size                        | model/acme/tiny,dataset/acme/data
                    --sort modified:asc                | dataset/acme/data,model/acme/tiny
                    --sort name:desc --limit 1         | model/acme/tiny
                    --limit 0                          | ''
                    """)
    void filtersSortsAndLimits(String options, String ids) {
        String[] args = ("cache ls -q " + options).strip().split(" ");
        assertThat(run(args)).isZero();
        assertThat(String.join(",", test.out().lines().toList())).isEqualTo(ids);
    }

    @ParameterizedTest
    @ValueSource(strings = {"-f colour=red", "-f size>big", "-f type>model", "--sort colour", "--limit -1"})
    void refusesWhatItDoesNotUnderstand(String options) {
        assertThat(run(("cache ls " + options).split(" "))).isEqualTo(1);
        assertThat(test.err().lines()).singleElement().asString().startsWith("error: ");
    }

    @Test
    void lsOfAnotherCacheWarnsOfWhatIsCorrupted() throws IOException {
        Path other = home.resolve("other");
        Files.createDirectories(other.resolve("models--a--b"));
        assertThat(run("cache", "ls", "--cache-dir", other.toString())).isZero();
        assertThat(test.out().lines()).containsExactly("The cache is empty.");
        assertThat(test.err()).contains("warning: ", "models--a--b");
    }

    @Test
    void rmShowsAsksAndDeletes() {
        assertThat(run("cache", "rm", "model/acme/tiny", "--dry-run")).isZero();
        assertThat(test.out()).contains("model/acme/tiny (entire repo)", "2.0M", "Dry run: no files were deleted.");
        assertThat(run("cache", "rm", "model/acme/tiny")).isEqualTo(1);
        assertThat(run(new ScriptedTerminal("no"), "cache", "rm", "model/acme/tiny"))
                .isEqualTo(1);
        assertThat(home.resolve("hub/models--acme--tiny")).exists();
        assertThat(run(new ScriptedTerminal("y"), "cache", "rm", "model/acme/tiny"))
                .isZero();
        assertThat(test.out().lines()).containsExactly("Deleted 1 repo(s) and 2 revision(s); freed 2.0M.");
        assertThat(home.resolve("hub/models--acme--tiny")).doesNotExist();
        assertThat(home.resolve("hub/datasets--acme--data")).exists();
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "model/acme/tiny",
                "models/acme/tiny",
                "acme/tiny",
                "hf://acme/tiny",
                "hf://models/acme/tiny@main " + OLD
            })
    void rmTakesEveryWayToNameARepository(String targets) {
        assertThat(run(("cache rm -y -q " + targets).split(" "))).isZero();
        assertThat(test.out().lines()).containsExactly("model/acme/tiny");
        assertThat(home.resolve("hub/models--acme--tiny")).doesNotExist();
        assertThat(home.resolve("hub/datasets--acme--data")).exists();
    }

    @Test
    void rmOfARevisionLeavesTheOthers() throws IOException {
        assertThat(run("cache", "rm", "-y", OLD, "--json")).isZero();
        assertThat(new ObjectMapper().readTree(test.out()).toString())
                .isEqualTo("{\"dry_run\":false,\"repos\":0,\"revisions\":1,\"incomplete_files\":0,\"bytes\":2000000}");
        assertThat(home.resolve("hub/models--acme--tiny/blobs/large")).doesNotExist();
        assertThat(home.resolve("hub/models--acme--tiny/snapshots/" + NEW + "/hello.txt"))
                .exists();
    }

    @Test
    void rmOfWhatIsNotThereDoesNothing() {
        assertThat(run("cache", "rm", "model/none", "hf://acme/tiny@dev")).isZero();
        assertThat(test.out().lines()).containsExactly("Nothing to delete.");
        assertThat(test.err()).contains("Could not find in cache: model/none", "hf://acme/tiny@dev");
        assertThat(run("cache", "rm", "-y", "hf://acme/tiny/hello.txt")).isEqualTo(1);
        assertThat(home.resolve("hub/models--acme--tiny/blobs/large")).exists();
    }

    @Test
    void pruneTakesWhatNobodyRefersTo() throws IOException {
        file("models--acme--tiny/blobs/abc.incomplete", "12");
        assertThat(run("cache", "prune", "--dry-run")).isZero();
        assertThat(test.out()).contains(OLD, "abc.incomplete", "Dry run");
        assertThat(run("cache", "prune", "-y")).isZero();
        assertThat(home.resolve("hub/models--acme--tiny/snapshots/" + OLD)).doesNotExist();
        assertThat(home.resolve("hub/models--acme--tiny/blobs/abc.incomplete")).doesNotExist();
        assertThat(run("cache", "prune")).isZero();
        assertThat(test.out().lines())
                .containsExactly("No unreferenced revisions or incomplete downloads found. Nothing to prune.");
    }

    private void hubHas(String oid) {
        hub.on(
                "GET /api/models/acme/tiny/tree/" + NEW,
                200,
                "[{\"type\":\"file\",\"path\":\"hello.txt\",\"size\":6,\"oid\":\"" + oid + "\"},"
                        + "{\"type\":\"directory\",\"path\":\"sub\",\"oid\":\"x\"}]");
    }

    @Test
    void verifyComparesWithTheCommitThatWasDownloaded() throws IOException {
        hubHas(HELLO);
        assertThat(run("cache", "verify", "acme/tiny")).isZero();
        assertThat(test.out().lines())
                .containsExactly(
                        "✓ Verified 1 file(s) for model 'acme/tiny'. All checksums match.",
                        "  repo_id: acme/tiny",
                        "  repo_type: model",
                        "  checked: 1",
                        "  path: " + home.resolve("hub/models--acme--tiny/snapshots/" + NEW));
        assertThat(hub.requests()).hasSize(1);
        assertThat(run("cache", "verify", "acme/tiny", "--revision", NEW, "--json"))
                .isZero();
        assertThat(new ObjectMapper().readTree(test.out()).path("checked").asInt())
                .isEqualTo(1);
        assertThat(run("cache", "verify", "acme/tiny", "-q")).isZero();
        assertThat(test.out()).isEmpty();
    }

    @Test
    void verifyNamesTheFileAndBothHashes() {
        hubHas("0000000000000000000000000000000000000000");
        assertThat(run("cache", "verify", "acme/tiny")).isEqualTo(1);
        assertThat(test.out())
                .contains("  - hello.txt: expected 0000000000000000000000000000000000000000 (git-sha1), got " + HELLO)
                .doesNotContain("✓");
        assertThat(test.err()).contains("error: Verification of model 'acme/tiny'", "1 file(s) differ");
    }

    @Test
    void verifyOfAFolderIsStrictAboutFilesOnlyIfAsked() throws IOException {
        hub.on(
                "GET /api/models/acme/tiny/tree/main",
                200,
                "[{\"type\":\"file\",\"path\":\"gone.txt\",\"size\":6,\"oid\":\"" + HELLO + "\"}]");
        Path folder = Files.createDirectories(home.resolve("mine"));
        Files.writeString(folder.resolve("notes.txt"), "x");
        String[] lenient = {"cache", "verify", "acme/tiny", "--local-dir", folder.toString()};
        assertThat(run(lenient)).isZero();
        assertThat(test.err()).contains("--fail-on-missing-files", "--fail-on-extra-files");
        assertThat(run("cache", "verify", "acme/tiny", "--local-dir", folder.toString(), "--fail-on-missing-files"))
                .isEqualTo(1);
        assertThat(test.out()).contains("gone.txt: missing here").doesNotContain("notes.txt");
        assertThat(run("cache", "verify", "acme/tiny", "--local-dir", folder.toString(), "--fail-on-extra-files"))
                .isEqualTo(1);
        assertThat(test.out()).contains("notes.txt: not on the Hub").doesNotContain("gone.txt");
    }

    @Test
    void verifyRefusesWhatItCannotCompare() {
        assertThat(run("cache", "verify", "acme/none")).isEqualTo(1);
        assertThat(test.err()).contains("does not know revision 'main' of model 'acme/none'");
        assertThat(run("cache", "verify", "acme/tiny", "--local-dir", "x", "--cache-dir", "y"))
                .isEqualTo(1);
        assertThat(test.err()).contains("exclude each other");
        assertThat(hub.requests()).isEmpty();
    }
}
