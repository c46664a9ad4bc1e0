package io.gptq4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class AuthCommandsTest {
    private static final String ALICE = """
            {"type": "user", "name": "alice", "orgs": [{"name": "acme"}, {"name": "umbrella"}],
             "auth": {"accessToken": {"displayName": "alice-token", "role": "write"}}}
            """;

    @TempDir
    Path home;

    private final Map<String, String> environment = new HashMap<>();
    private final StubHub hub = StubHub.start();
    private TestConsole test = TestConsole.piped();

    @BeforeEach
    void prepareHub() {
        hub.on("GET /api/whoami-v2", 200, ALICE);
        environment.put("HF_HOME", home.toString());
        environment.put("HF_ENDPOINT", hub.url());
    }

    @AfterEach
    void stopHub() {
        hub.close();
    }

    private int run(String... args) {
        return run(Terminal.NONE, args);
    }

    private int run(Terminal terminal, String... args) {
        test = new TestConsole(environment, 0, terminal);
        return Main.run(test.console, args);
    }

    @Test
    void loginStoresAndActivatesATokenThatTheHubKnows() throws IOException {
        assertThat(run("auth", "login", "--token", "hf_fakewrite")).isZero();
        assertThat(home.resolve("token")).hasContent("hf_fakewrite");
        assertThat(Files.readString(home.resolve("stored_tokens")))
                .isEqualTo("[alice-token]\nhf_token = hf_fakewrite\n\n");
        assertThat(test.out()).isEmpty();
        assertThat(test.err())
                .contains(
                        "permission: write",
                        "'alice-token'",
                        home.resolve("stored_tokens").toString())
                .doesNotContain("hf_fakewrite");
        assertThat(hub.requests()).containsExactly("GET /api/whoami-v2 Bearer hf_fakewrite");
    }

    @Test
    void loginWritesNothingIfTheHubRefusesTheToken() {
        hub.on("GET /api/whoami-v2", 401, "{\"error\":\"Invalid credentials in Authorization header\"}");
        assertThat(run("auth", "login", "--token", "hf_garbage_garbage")).isEqualTo(1);
        assertThat(home).isEmptyDirectory();
        assertThat(test.err())
                .startsWith("error: ")
                .contains("the option --token", "hf_****bage")
                .doesNotContain("hf_garbage_garbage");
    }

    @Test
    void loginAsksForTheTokenWithoutShowingIt() {
        ScriptedTerminal alice = new ScriptedTerminal(" hf_fakewrite ");
        assertThat(run(alice, "auth", "login")).isZero();
        assertThat(alice.questions()).singleElement().asString().startsWith("secret: ");
        assertThat(home.resolve("token")).hasContent("hf_fakewrite");
    }

    @Test
    void loginNeedsATokenOrATerminal() {
        assertThat(run("auth", "login")).isEqualTo(1);
        assertThat(test.err()).contains("no terminal", "--token");
        assertThat(run(new ScriptedTerminal(), "auth", "login")).isEqualTo(1);
        assertThat(run("auth", "login", "--token", "api_org_abcdefgh")).isEqualTo(1);
        assertThat(test.err()).contains("organisation").doesNotContain("abcdefgh");
        assertThat(hub.requests()).isEmpty();
        assertThat(home).isEmptyDirectory();
    }

    @Test
    void optionsOfHfAreTakenOrRefusedWithAReason() throws IOException {
        assertThat(run("auth", "login", "--token", "hf_fakewrite", "--force")).isZero();
        assertThat(home.resolve("token")).hasContent("hf_fakewrite");
        assertThat(run("auth", "list", "--no-truncate")).isZero();
        assertThat(run("cache", "ls", "--no-truncate")).isZero();
        hub.requests().clear();
        assertThat(run("auth", "login", "--token", "hf_fakeread", "--add-to-git-credential"))
                .isEqualTo(1);
        assertThat(test.err()).startsWith("error: --add-to-git-credential").contains("git credential approve");
        assertThat(home.resolve("token")).hasContent("hf_fakewrite");
        assertThat(run("upload", "me/m", home.toString(), "--every", "5")).isEqualTo(1);
        assertThat(test.err()).startsWith("error: --every").contains("cron");
        assertThat(hub.requests()).isEmpty();
    }

    @Test
    void loginSaysThatTheVariableIsStronger() {
        environment.put("HF_TOKEN", "hf_ofvariable");
        assertThat(run("auth", "login", "--token", "hf_fakewrite")).isZero();
        assertThat(test.err()).contains("warning: The token from the environment variable HF_TOKEN is still in force");
        assertThat(hub.requests()).containsExactly("GET /api/whoami-v2 Bearer hf_fakewrite");
    }

    @Test
    void listMasksTokensAndMarksTheActiveOne() throws IOException {
        storeTwo();
        assertThat(run("auth", "list")).isZero();
        assertThat(test.out().lines())
                .containsExactly(
                        "  name        token",
                        "- ----------- -----------",
                        "* alice-token hf_****rite",
                        "  bob         ****");
        assertThat(run("auth", "list", "-q")).isZero();
        assertThat(test.out().lines()).containsExactly("alice-token", "bob");
        assertThat(run("auth", "list", "--json")).isZero();
        assertThat(new ObjectMapper().readTree(test.out()).toString())
                .isEqualTo("[{\"name\":\"alice-token\",\"token\":\"hf_****rite\",\"active\":true},"
                        + "{\"name\":\"bob\",\"token\":\"****\",\"active\":false}]");
    }

    private void storeTwo() throws IOException {
        Files.writeString(
                home.resolve("stored_tokens"),
                "[alice-token]\nhf_token = hf_fakewrite\n\n[bob]\nhf_token = hf_fakeread\n\n");
        Files.writeString(home.resolve("token"), "hf_fakewrite");
    }

    @Test
    void listOfNothingSaysSo() {
        assertThat(run("auth", "list")).isZero();
        assertThat(test.out()).isEqualTo("No stored access tokens." + System.lineSeparator());
    }

    @Test
    void switchChangesTheActiveToken() throws IOException {
        storeTwo();
        assertThat(run("auth", "switch", "--token-name", "bob")).isZero();
        assertThat(home.resolve("token")).hasContent("hf_fakeread");
        assertThat(run(new ScriptedTerminal("alice-token"), "auth", "switch")).isZero();
        assertThat(home.resolve("token")).hasContent("hf_fakewrite");
        assertThat(run("auth", "switch", "--token-name", "nope")).isEqualTo(1);
        assertThat(test.err()).contains("no token 'nope'");
        assertThat(run("auth", "switch")).isEqualTo(1);
        assertThat(test.err()).contains("--token-name", "alice-token, bob");
    }

    @Test
    void logoutForgetsOneTokenOrAll() throws IOException {
        storeTwo();
        assertThat(run("auth", "logout", "--token-name", "alice-token")).isZero();
        assertThat(home.resolve("token")).doesNotExist();
        assertThat(home.resolve("stored_tokens")).hasContent("[bob]\nhf_token = hf_fakeread\n\n");
        assertThat(run("auth", "logout", "--token-name", "alice-token")).isEqualTo(1);
        assertThat(run("auth", "logout")).isZero();
        assertThat(home).isEmptyDirectory();
        assertThat(run("auth", "logout")).isZero();
        assertThat(test.err()).contains("Not logged in");
    }

    @Test
    void whoamiAnswersAsHfDoes() throws IOException {
        environment.put("HF_TOKEN", "hf_fakewrite");
        assertThat(run("auth", "whoami")).isZero();
        assertThat(test.out().lines())
                .containsExactly("✓ Logged in", "  user: alice", "  orgs: acme,umbrella", "  endpoint: " + hub.url());
        assertThat(run("auth", "whoami", "-q")).isZero();
        assertThat(test.out().lines()).containsExactly("alice");
        assertThat(run("auth", "whoami", "--json")).isZero();
        assertThat(new ObjectMapper().readTree(test.out()).toString())
                .isEqualTo("{\"user\":\"alice\",\"orgs\":\"acme,umbrella\",\"endpoint\":\"" + hub.url() + "\"}");
    }

    @ParameterizedTest
    @ValueSource(strings = {"whoami", "token"})
    void withoutATokenThereIsNobodyToTellAbout(String command) {
        assertThat(run("auth", command)).isEqualTo(1);
        assertThat(test.out()).isEmpty();
        assertThat(test.err()).contains("error: Not logged in");
        assertThat(hub.requests()).isEmpty();
    }

    @Test
    void tokenPrintsTheOneInForceAndNothingElseOnStandardOutput() throws IOException {
        storeTwo();
        assertThat(run("auth", "token")).isZero();
        assertThat(test.out()).isEqualTo("hf_fakewrite" + System.lineSeparator());
        environment.put("HF_TOKEN", "hf_ofvariable");
        assertThat(run("auth", "token")).isZero();
        assertThat(test.out().lines()).containsExactly("hf_ofvariable");
        assertThat(test.err()).contains("HF_TOKEN");
    }

    @Test
    void aNameThatTheHubMadeUpCannotWriteIntoTheFile() {
        hub.on(
                "GET /api/whoami-v2",
                200,
                "{\"name\":\"mallory\",\"auth\":{\"accessToken\":{\"displayName\":\"x]\\n[alice-token\"}}}");
        assertThat(run("auth", "login", "--token", "hf_fakewrite")).isEqualTo(1);
        assertThat(home).isEmptyDirectory();
        assertThat(List.of(test.err().split("\n"))).first().asString().contains("cannot be the name of a token");
    }

    @ParameterizedTest
    @ValueSource(strings = {"variable", "file", "unreadable"})
    void aBrokenTokenStopsOnlyWhoNeedsIt(String place) throws IOException {
        Path file = home.resolve("token");
        switch (place) {
            case "variable" -> environment.put("HF_TOKEN", "hf_fake write");
            case "file" -> Files.writeString(file, "hf_fake write");
            default -> Files.write(file, new byte[] {(byte) 0xff});
        }
        assertThat(run("cache", "ls")).as(test.err()).isZero();
        assertThat(run("auth", "whoami")).isEqualTo(1);
        assertThat(test.err()).startsWith("error: ").contains(place.equals("variable") ? "HF_TOKEN" : file.toString());
        assertThat(hub.requests()).isEmpty();
        assertThat(run("info", "acme/none", "--token", "hf_other")).isEqualTo(1);
        assertThat(hub.requests()).singleElement().asString().contains("Bearer hf_other");
        assertThat(run("auth", "login", "--token", "hf_fakewrite"))
                .as(test.err())
                .isZero();
        assertThat(file).hasContent("hf_fakewrite");
        assertThat(test.err()).doesNotContain("hf_fake write");
        Files.writeString(file, "hf_fake write");
        assertThat(run("auth", "logout")).as(test.err()).isZero();
        assertThat(file).doesNotExist();
        if (place.equals("variable")) {
            assertThat(test.err()).contains("warning: The token from the environment variable HF_TOKEN is not a token");
        }
    }
}
