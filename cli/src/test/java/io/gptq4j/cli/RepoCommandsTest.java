package io.gptq4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The commands {@code repo} and {@code info}. */
class RepoCommandsTest {
    @TempDir
    Path home;

    private final StubHub hub = StubHub.start();
    private TestConsole test = TestConsole.piped();

    @AfterEach
    void stopHub() {
        hub.close();
    }

    private int run(String... args) {
        return run(Terminal.NONE, args);
    }

    private int run(Terminal terminal, String... args) {
        test = new TestConsole(
                Map.of("HF_HOME", home.toString(), "HF_ENDPOINT", hub.url(), "HF_TOKEN", "hf_fakewrite"), 0, terminal);
        return Main.run(test.console, args);
    }

    @Test
    void createTellsTheIdAndTheAddress() {
        hub.on("POST /api/repos/create", 200, "{\"url\":\"" + hub.url() + "/alice/m\"}");
        assertThat(run("repo", "create", "m", "--private")).isZero();
        assertThat(test.out().lines())
                .containsExactly("✓ Repo created", "  repo_id: alice/m", "  url: " + hub.url() + "/alice/m");
        assertThat(hub.requests())
                .containsExactly("POST /api/repos/create Bearer hf_fakewrite"
                        + " {\"name\":\"m\",\"organization\":null,\"visibility\":\"private\"}");
        assertThat(run("repos", "create", "alice/m", "-q")).isZero();
        assertThat(test.out().lines()).containsExactly("alice/m");
    }

    @Test
    void createOfWhatIsThereIsAnErrorUnlessItIsWell() {
        hub.on(
                "POST /api/repos/create",
                409,
                "{\"error\":\"You already created this model repo\",\"url\":\"" + hub.url() + "/datasets/alice/d\"}");
        assertThat(run("repo", "create", "alice/d", "--type", "dataset")).isEqualTo(1);
        assertThat(test.err()).contains("You already created this model repo");
        assertThat(run("repo", "create", "alice/d", "--repo-type", "dataset", "--exist-ok", "--public"))
                .isZero();
        assertThat(test.out()).contains("repo_id: alice/d");
        assertThat(hub.requests())
                .last()
                .asString()
                .endsWith("{\"name\":\"d\",\"organization\":\"alice\",\"visibility\":\"public\",\"type\":\"dataset\"}");
        assertThat(run("repo", "create", "alice/d", "--private", "--public")).isEqualTo(1);
    }

    @Test
    void aSpaceIsMadeWithWhatItRuns() {
        hub.on("POST /api/repos/create", 200, "{\"url\":\"" + hub.url() + "/spaces/alice/s\"}");
        assertThat(run("repo", "create", "s", "--type", "space")).isEqualTo(1);
        assertThat(test.err())
                .isEqualToIgnoringNewLines("error: A space needs --space-sdk: gradio, streamlit, docker or static");
        assertThat(run("repo", "create", "s", "--space-sdk", "docker")).isEqualTo(1);
        assertThat(test.err()).contains("--type space");
        assertThat(hub.requests()).isEmpty();
        assertThat(run("repo", "create", "s", "--type", "space", "--space_sdk", "docker", "-q"))
                .isZero();
        assertThat(test.out().lines()).containsExactly("alice/s");
        assertThat(hub.requests())
                .containsExactly("POST /api/repos/create Bearer hf_fakewrite"
                        + " {\"name\":\"s\",\"organization\":null,\"type\":\"space\",\"sdk\":\"docker\"}");
        assertThat(run("repo", "create", "s", "--type", "space", "--space-sdk", "cobol"))
                .isEqualTo(2);
    }

    @Test
    void deleteAsksFirst() {
        hub.on("DELETE /api/repos/delete", 200, "{}");
        assertThat(run("repo", "delete", "alice/m")).isEqualTo(1);
        assertThat(test.err()).contains("no terminal", "--yes");
        ScriptedTerminal no = new ScriptedTerminal("n");
        assertThat(run(no, "repo", "delete", "alice/m")).isEqualTo(1);
        assertThat(no.questions())
                .containsExactly("You are about to permanently delete model 'alice/m'. Proceed? [y/N]: ");
        assertThat(test.err()).contains("Aborted");
        assertThat(run(new ScriptedTerminal(), "repo", "delete", "alice/m")).isEqualTo(1);
        assertThat(hub.requests()).isEmpty();
        assertThat(run(new ScriptedTerminal("Y"), "repo", "delete", "alice/m")).isZero();
        assertThat(test.out().lines()).containsExactly("✓ Repo deleted", "  repo_id: alice/m");
        assertThat(run("repo", "delete", "alice/m", "-y")).isZero();
        assertThat(hub.requests())
                .hasSize(2)
                .allMatch(request -> request.equals(
                        "DELETE /api/repos/delete Bearer hf_fakewrite {\"name\":\"m\",\"organization\":\"alice\"}"));
    }

    @Test
    void branchesAndTagsAreMadeAndRemoved() {
        hub.on("POST /api/models/alice/m/branch/b1", 200, "{}")
                .on("DELETE /api/models/alice/m/branch/b1", 200, "{}")
                .on("POST /api/models/alice/m/tag/main", 200, "{}")
                .on("DELETE /api/models/alice/m/tag/v1", 200, "{}");
        assertThat(run("repo", "branch", "create", "alice/m", "b1", "--revision", "v0"))
                .isZero();
        assertThat(test.out().lines())
                .containsExactly("✓ Branch created", "  branch: b1", "  repo_type: model", "  repo_id: alice/m");
        assertThat(run("repo", "branch", "delete", "alice/m", "b1")).isZero();
        assertThat(run("repo", "tag", "create", "alice/m", "v1", "-m", "first")).isZero();
        assertThat(test.out()).contains("✓ Tag created", "tag: v1");
        assertThat(run("repo", "tag", "delete", "alice/m", "v1")).isEqualTo(1);
        assertThat(run("repo", "tag", "delete", "alice/m", "v1", "-y")).isZero();
        assertThat(hub.requests())
                .containsExactly(
                        "POST /api/models/alice/m/branch/b1 Bearer hf_fakewrite {\"startingPoint\":\"v0\"}",
                        "DELETE /api/models/alice/m/branch/b1 Bearer hf_fakewrite",
                        "POST /api/models/alice/m/tag/main Bearer hf_fakewrite {\"tag\":\"v1\",\"message\":\"first\"}",
                        "DELETE /api/models/alice/m/tag/v1 Bearer hf_fakewrite");
    }

    @Test
    void tagsAreListedAsATableAsNamesAndAsJson() throws IOException {
        hub.on("GET /api/models/alice/m/refs", 200, """
                {"branches": [], "converts": [], "tags": [
                 {"name": "v1", "ref": "refs/tags/v1", "targetCommit": "0e4afc9cecef1d7ae6286ddb5bd17a0ba4bb19ed"}]}
                """);
        assertThat(run("repos", "tag", "list", "alice/m")).isZero();
        assertThat(test.out().lines())
                .containsExactly(
                        "NAME TARGET_COMMIT                            REF",
                        "---- ---------------------------------------- ------------",
                        "v1   0e4afc9cecef1d7ae6286ddb5bd17a0ba4bb19ed refs/tags/v1");
        assertThat(run("repos", "tag", "ls", "alice/m", "-q")).isZero();
        assertThat(test.out().lines()).containsExactly("v1");
        assertThat(run("repos", "tag", "ls", "alice/m", "--json")).isZero();
        assertThat(new ObjectMapper()
                        .readTree(test.out())
                        .at("/0/target_commit")
                        .asText())
                .isEqualTo("0e4afc9cecef1d7ae6286ddb5bd17a0ba4bb19ed");
    }

    @Test
    void infoPrintsTheHubsObjectWithThePythonClientsNames() throws IOException {
        hub.on("GET /api/models/acme/tiny/revision/v1.0", 200, """
                {"_id": "1", "id": "acme/tiny", "modelId": "acme/tiny", "sha": "3083c96c89e9393cc384b3f42b8ca68ae0d37582",
                 "author": "acme", "private": false, "gated": "manual", "lastModified": "2023-11-14T22:13:20.000Z",
                 "downloads": 1234, "likes": 5, "pipeline_tag": "text-generation", "library_name": "transformers",
                 "tags": ["gptq", "\\u001b[31mred"], "cardData": {"baseModel": "x"}, "model-index": null,
                 "siblings": [{"rfilename": "config.json"}]}
                """);
        assertThat(run("info", "acme/tiny", "--revision", "v1.0", "--json")).isZero();
        assertThat(new ObjectMapper().readTree(test.out()).fieldNames())
                .toIterable()
                .containsExactly(
                        "id",
                        "sha",
                        "author",
                        "private",
                        "gated",
                        "last_modified",
                        "downloads",
                        "likes",
                        "pipeline_tag",
                        "library_name",
                        "tags",
                        "card_data",
                        "model_index",
                        "siblings");
        assertThat(test.out()).contains("\"baseModel\"");
        assertThat(run("info", "hf://acme/tiny@v1.0")).isZero();
        assertThat(test.out().lines())
                .containsExactly(
                        "id         acme/tiny",
                        "commit     3083c96c89e9393cc384b3f42b8ca68ae0d37582",
                        "modified   2023-11-14T22:13:20.000Z",
                        "access     public, gated (manual)",
                        "library    transformers",
                        "task       text-generation",
                        "downloads  1,234 in 30 days",
                        "likes      5",
                        "tags       gptq, ?[31mred",
                        "files      1");
        assertThat(run("info", "acme/tiny", "--revision", "v1.0", "-q")).isZero();
        assertThat(test.out().lines()).containsExactly("acme/tiny");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "info acme/none",
                "info a/b/c",
                "info hf://acme/tiny@v1 --revision v2",
                "info hf://datasets/acme/d --type model",
                "repo create hf://acme/tiny@v1",
                "repo branch create acme/tiny a..b"
            })
    void everyErrorEndsWithOneAndASentence(String commandLine) {
        assertThat(run(commandLine.split(" "))).isEqualTo(1);
        assertThat(test.out()).isEmpty();
        assertThat(test.err().lines()).singleElement().asString().startsWith("error: ");
    }

    @ParameterizedTest
    @ValueSource(strings = {"repo", "repo create", "repo tag", "info x --type modell", "repo create x --bogus"})
    void aWrongCommandLineEndsWithTwo(String commandLine) {
        assertThat(run(commandLine.split(" "))).isEqualTo(2);
        assertThat(test.err()).startsWith("error: ").contains("Try 'gptq4j");
    }
}
