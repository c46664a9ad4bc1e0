package io.gptq4j.hub.config;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assumptions.assumeThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class TokenStoreTest {
    private static final HubToken ALICE = new HubToken("hf_alicealice1", "a test");
    private static final HubToken BOB = new HubToken("hf_bobbobbob22", "a test");

    @TempDir
    Path folder;

    private Path home = Path.of("");
    private TokenStore store = TokenStore.of(HubConfig.ofProcess());

    @BeforeEach
    void openStore() {
        home = folder.resolve("cache/huggingface");
        store = TokenStore.of(HubConfig.fromEnvironment(Map.of("HF_HOME", home.toString()), folder)
                .build());
    }

    @Test
    void writesTheFilesAsHuggingfaceHubDoes() throws IOException {
        store.save("alice-token", ALICE);
        store.activate("alice-token");
        assertThat(home.resolve("stored_tokens")).hasContent("[alice-token]\nhf_token = hf_alicealice1\n\n");
        assertThat(Files.readString(home.resolve("stored_tokens"))).endsWith("1\n\n");
        assertThat(Files.readString(home.resolve("token"))).isEqualTo("hf_alicealice1");
    }

    @Test
    void nobodyElseCanReadTheFilesAndNoTemporaryOnesRemain() throws IOException {
        assumeThat(folder.getFileSystem().supportedFileAttributeViews()).contains("posix");
        store.save("alice-token", ALICE);
        store.activate("alice-token");
        store.save("bob", BOB);
        assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(home)))
                .isEqualTo("rwx------");
        try (Stream<Path> files = Files.list(home)) {
            assertThat(files)
                    .hasSize(2)
                    .allSatisfy(file -> assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(file)))
                            .isEqualTo("rw-------"));
        }
    }

    @Test
    void aNewStoreIsEmpty() throws IOException {
        assertThat(store.list()).isEmpty();
        assertThat(store.activeName()).isEmpty();
        assertThat(store.remove("x")).isFalse();
        assertThat(store.clear()).isFalse();
    }

    @Test
    void listsByNameAndKnowsTheActiveOne() throws IOException {
        store.save("bob", BOB);
        store.save("alice", ALICE);
        assertThat(store.activeName()).isEmpty();
        assertThat(store.activate("bob").value()).isEqualTo("hf_bobbobbob22");
        assertThat(store.list()).containsOnlyKeys("alice", "bob");
        assertThat(store.list().keySet()).containsExactly("alice", "bob");
        assertThat(store.activeName()).hasValue("bob");
        assertThat(store.list().get("alice"))
                .hasToString("token hf_****ice1 from 'alice' in the file " + home.resolve("stored_tokens"));
    }

    @Test
    void readsWhatConfigParserReadsAndKeepsTheKeysOfOthers() throws IOException {
        Files.createDirectories(home);
        Files.writeString(home.resolve("stored_tokens"), """
                # written by hand
                [oauth-Alice]
                HF_Token: hf_alicealice1
                refresh_token = 100%s=x
                ; until then
                expires_at=1790000000
                note = two
                  lines

                [empty]
                """);
        assertThat(store.list()).containsOnlyKeys("oauth-Alice");
        store.save("bob", BOB);
        assertThat(Files.readString(home.resolve("stored_tokens"))).isEqualTo("""
                [bob]
                hf_token = hf_bobbobbob22

                [empty]

                [oauth-Alice]
                hf_token = hf_alicealice1
                refresh_token = 100%s=x
                expires_at = 1790000000
                note = two
                \tlines

                """);
        assertThat(store.list()).containsOnlyKeys("bob", "oauth-Alice");
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
                    hf_token = hf_secretsecret            | line 1: expected [NAME] or KEY = VALUE
                    [a]~hf_secretsecret                   | line 2: expected [NAME] or KEY = VALUE
                    [a]~x = 1~[a]                         | line 3: the section [a] stands there twice
                    [a]~hf_token = 1~HF_TOKEN = 2         | line 3: the key hf_token stands there twice
                    [a]~hf_token = hf_secret secret       | 'a' in the file
                    """)
    void saysWhereABrokenFileIsBrokenWithoutShowingASecret(String lines, String reason) throws IOException {
        Files.createDirectories(home);
        Files.writeString(home.resolve("stored_tokens"), lines.replace('~', '\n'));
        assertThatThrownBy(store::list)
                .isInstanceOf(IOException.class)
                .hasMessageContaining(reason)
                .hasMessageContaining("stored_tokens")
                .hasMessageNotContaining("secret");
    }

    @Test
    void forgettingTheActiveTokenEmptiesTheTokenFile() throws IOException {
        store.save("alice", ALICE);
        store.save("bob", BOB);
        store.activate("alice");
        assertThat(store.remove("bob")).isTrue();
        assertThat(home.resolve("token")).hasContent("hf_alicealice1");
        assertThat(store.remove("alice")).isTrue();
        assertThat(home.resolve("token")).doesNotExist();
        assertThat(store.list()).isEmpty();
    }

    @Test
    void clearingDeletesBothFiles() throws IOException {
        store.save("alice", ALICE);
        store.activate("alice");
        assertThat(store.clear()).isTrue();
        assertThat(home).isEmptyDirectory();
    }

    @Test
    void onlyAStoredTokenCanBecomeActive() throws IOException {
        store.save("alice", ALICE);
        assertThatIllegalArgumentException()
                .isThrownBy(() -> store.activate("nope"))
                .withMessageContaining("no token 'nope' in " + home.resolve("stored_tokens"));
        assertThat(home.resolve("token")).doesNotExist();
    }

    @ParameterizedTest
    @ValueSource(strings = {"", " a", "a\n[b]", "DEFAULT", "a\u0000"})
    void refusesNamesThatWouldBreakTheFile(String name) {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> store.save(name, ALICE))
                .withMessageContaining("cannot be the name of a token");
        assertThat(home).doesNotExist();
    }

    @Test
    void refusesTokensOfOrganisations() {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> store.save("org", new HubToken("api_org_0123456789", "the option --token")))
                .withMessageContaining("the option --token")
                .withMessageNotContaining("0123456789");
        assertThat(home).doesNotExist();
    }
}
