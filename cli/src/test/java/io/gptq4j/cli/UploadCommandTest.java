package io.gptq4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class UploadCommandTest {
    @TempDir
    Path home;

    private final StubHub hub = StubHub.start();
    private TestConsole test = TestConsole.piped();
    private Path folder = Path.of("");

    @BeforeEach
    void prepare() throws IOException {
        folder = Files.createDirectory(home.resolve("up"));
        Files.writeString(folder.resolve("a.txt"), "a");
        hub.on("GET /api/models/me/m/revision/main", 200, "{\"sha\":\"" + "1".repeat(40) + "\"}");
        hub.on("POST /api/repos/create", 200, "{\"url\":\"" + hub.url() + "/me/m\"}")
                .on(
                        "POST /api/models/me/m/preupload/main",
                        200,
                        "{\"files\":[{\"path\":\"a.txt\",\"uploadMode\":\"regular\"},"
                                + "{\"path\":\"sub/a.txt\",\"uploadMode\":\"regular\"},"
                                + "{\"path\":\"README.md\",\"uploadMode\":\"regular\"}]}")
                .on(
                        "POST /api/models/me/m/commit/main",
                        200,
                        "{\"commitUrl\":\"" + hub.url() + "/me/m/commit/" + "c".repeat(40) + "\",\"commitOid\":\""
                                + "c".repeat(40) + "\"}");
    }

    @AfterEach
    void stopHub() {
        hub.close();
    }

    private int run(String... args) {
        test = new TestConsole(
                Map.of("HF_HOME", home.toString(), "HF_ENDPOINT", hub.url(), "HF_TOKEN", "hf_fakewrite"), 0);
        return Main.run(test.console, args);
    }

    private List<String> asked() {
        return hub.requests().stream()
                .map(request -> request.replaceAll(" (Bearer|-).*", "").replaceAll("(?s)\\n.*", ""))
                .toList();
    }

    @Test
    void anIdWithoutNamespaceIsOneOfTheUsersOwn() {
        assertThat(run("upload", "m", folder.toString())).as(test.err()).isZero();
        assertThat(asked())
                .containsExactly(
                        "POST /api/repos/create",
                        "POST /api/models/me/m/preupload/main",
                        "GET /api/models/me/m/revision/main",
                        "POST /api/models/me/m/commit/main");
        assertThat(test.out().strip()).startsWith(hub.url() + "/me/m/commit/");
    }

    private static String tree(String... paths) {
        return Stream.of(paths)
                .map(path ->
                        "{\"type\":\"file\",\"path\":\"" + path + "\",\"oid\":\"" + "0".repeat(40) + "\",\"size\":1}")
                .collect(Collectors.joining(",", "[", "]"));
    }

    @ParameterizedTest
    @ValueSource(strings = {"hf://me/m/sub UP", "hf://me/m/other UP ./sub/", "me/m UP /sub"})
    void deletesOnlyWhereTheUploadGoes(String target) {
        hub.on("GET /api/models/me/m/tree/main", 200, tree("b.txt", "sub/a.txt", "sub/b.txt", "sub/c/d.txt", "subs"));
        List<String> args = new ArrayList<>(List.of("upload", "--delete", "*"));
        args.addAll(List.of(target.replace("UP", folder.toString()).split(" ")));
        assertThat(run(args.toArray(String[]::new))).as(test.err()).isZero();
        assertThat(hub.requests())
                .last()
                .asString()
                .contains("\"path\":\"sub/a.txt\"")
                .contains("{\"key\":\"deletedFile\",\"value\":{\"path\":\"sub/b.txt\"}}\n"
                        + "{\"key\":\"deletedFile\",\"value\":{\"path\":\"sub/c/d.txt\"}}")
                .doesNotContain("\"b.txt\"", "subs");
    }

    @Test
    void aSingleFileDeletesNothing() {
        assertThat(run("upload", "me/m", folder.resolve("a.txt").toString(), "sub", "--delete", "*"))
                .isEqualTo(1);
        assertThat(test.err()).startsWith("error: --delete goes with a folder");
        assertThat(asked()).isEmpty();
    }

    @Test
    void aCardIsCheckedOnceAndBeforeThereIsARepository() throws IOException {
        Files.writeString(folder.resolve("README.md"), "---\nlicense: mit\n---\n");
        hub.on("POST /api/validate-yaml", 200, "{\"errors\":[],\"warnings\":[]}");
        assertThat(run("upload", "m", folder.toString())).as(test.err()).isZero();
        assertThat(asked())
                .startsWith("POST /api/validate-yaml", "POST /api/repos/create")
                .containsOnlyOnce("POST /api/validate-yaml");
        hub.on("POST /api/validate-yaml", 400, "{\"error\":\"license: unknown\"}");
        hub.requests().clear();
        assertThat(run("upload", "m", folder.toString())).isEqualTo(1);
        assertThat(test.err()).startsWith("error: Nothing was uploaded").contains("license: unknown");
        assertThat(asked()).containsExactly("POST /api/validate-yaml");
    }

    @Test
    void aSpaceIsMadeAsHfMakesIt() {
        assertThat(run("upload", "me/s", folder.toString(), "--type", "space")).isEqualTo(1);
        assertThat(hub.requests().get(0)).endsWith("\"type\":\"space\",\"sdk\":\"gradio\"}");
    }
}
