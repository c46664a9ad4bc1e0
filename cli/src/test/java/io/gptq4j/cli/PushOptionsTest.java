package io.gptq4j.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.gptq4j.hub.error.HubException;
import io.gptq4j.hub.repo.Repo;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import picocli.CommandLine;

class PushOptionsTest {
    @TempDir
    Path home;

    private final StubHub hub = StubHub.start();
    private TestConsole test = TestConsole.piped();
    private Path artifact = Path.of("");

    @BeforeEach
    void prepare() throws IOException {
        artifact = Files.createDirectory(home.resolve("it's done"));
        Files.writeString(artifact.resolve("config.json"), "{}");
        test = new TestConsole(
                Map.of("HF_HOME", home.toString(), "HF_ENDPOINT", hub.url(), "HF_TOKEN", "hf_fakewrite"), 0);
        hub.on("GET /api/models/me/m/revision/main", 200, "{\"sha\":\"" + "1".repeat(40) + "\"}");
        hub.on("GET /api/whoami-v2", 200, "{\"type\":\"user\",\"name\":\"me\"}")
                .on("POST /api/repos/create", 200, "{\"url\":\"" + hub.url() + "/me/m\"}")
                .on("GET /api/models/me/m/tree/main", 200, "[]")
                .on(
                        "POST /api/models/me/m/preupload/main",
                        200,
                        "{\"files\":[{\"path\":\"config.json\",\"uploadMode\":\"regular\"},"
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

    private static PushOptions options(String... args) {
        PushOptions options = new PushOptions();
        new CommandLine(CommandLine.Model.CommandSpec.create().addMixin("push", mixin(options))).parseArgs(args);
        return options;
    }

    private static CommandLine.Model.CommandSpec mixin(PushOptions options) {
        return CommandLine.Model.CommandSpec.forAnnotatedObject(options);
    }

    @Test
    void aNameWithoutNamespaceIsOneOfTheUsersOwn() throws IOException {
        PushOptions push = options("--push-to", "m");
        push.check(test.console, new HubOptions());
        assertThat(push.repo()).isEqualTo(Repo.model("me/m"));
        assertThat(push.push(test.console, new HubOptions(), artifact, "it").url())
                .startsWith(hub.url() + "/me/m/commit/");
    }

    private static String file(String path) {
        return "{\"type\":\"file\",\"path\":\"" + path + "\",\"oid\":\"" + "0".repeat(40) + "\",\"size\":1}";
    }

    @Test
    void anOlderArtifactGoesWithANoteAndFoldersStay() throws IOException {
        String root = file("old.safetensors") + "," + file("notes.txt");
        hub.on("GET /api/models/me/m/tree/main?recursive=false&expand=false", 200, "[" + root + "]")
                .on(
                        "GET /api/models/me/m/tree/main?recursive=true&expand=false",
                        200,
                        "[" + root + "," + file("lora/adapter.safetensors") + "]");
        options("--push-to", "me/m").push(test.console, new HubOptions(), artifact, "it");
        assertThat(hub.requests())
                .last()
                .asString()
                .contains("\"old.safetensors\"")
                .doesNotContain("adapter", "notes");
        assertThat(test.err()).contains("Removing from model 'me/m'", ": old.safetensors" + System.lineSeparator());
    }

    @Test
    void theAdviceAfterAFailureCanBeCopied() {
        hub.refuse("POST /api/models/me/m/commit/main", 413, "");
        PushOptions push = options("--push-to", "me/m", "--private", "--create-pr");
        assertThatThrownBy(() -> push.push(test.console, new HubOptions(), artifact, "it"))
                .isInstanceOf(HubException.class);
        assertThat(test.err())
                .contains("gptq4j upload me/m '" + home + "/it'\\''s done' --private --create-pr"
                        + System.lineSeparator());
    }

    @Test
    void theAdviceIsGivenWhateverFails() {
        Path missing = home.resolve("missing");
        assertThatThrownBy(() -> options("--push-to", "me/m").push(test.console, new HubOptions(), missing, "it"))
                .isInstanceOf(NoSuchFileException.class);
        assertThat(test.err()).contains("gptq4j upload me/m " + missing + System.lineSeparator());
    }

    @Test
    void aCardThatIsRefusedLeavesNoRepositoryBehind() throws IOException {
        Files.writeString(artifact.resolve("README.md"), "---\nlicense: mit\n---\n");
        hub.refuse("POST /api/validate-yaml", 400, "");
        assertThatThrownBy(() -> options("--push-to", "me/m").push(test.console, new HubOptions(), artifact, "it"))
                .hasMessageContaining("front matter");
        assertThat(hub.requests()).singleElement().asString().startsWith("POST /api/validate-yaml");
    }
}
