package io.gptq4j.hub.config;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/** The environment variables of huggingface_hub, and those of proxies and certificates. */
class HubConfigTest {
    @TempDir
    Path user;

    private HubConfig of(String... variables) {
        Map<String, String> environment = new HashMap<>();
        for (int i = 0; i < variables.length; i += 2) {
            environment.put(variables[i], variables[i + 1]);
        }
        return HubConfig.fromEnvironment(environment, user).build();
    }

    @Test
    void withoutVariablesTheDefaultsHold() {
        HubConfig config = of();
        assertThat(config.endpoint()).isEqualTo("https://huggingface.co");
        assertThat(config.home()).isEqualTo(user.resolve(".cache/huggingface"));
        assertThat(config.cache()).isEqualTo(user.resolve(".cache/huggingface/hub"));
        assertThat(config.tokenFile()).isEqualTo(user.resolve(".cache/huggingface/token"));
        assertThat(config.token()).isEmpty();
        assertThat(config.isOffline()).isFalse();
        assertThat(config.usesSymlinks()).isTrue();
        assertThat(config.metadataTimeout()).isEqualTo(Duration.ofSeconds(10));
        assertThat(config.downloadTimeout()).isEqualTo(Duration.ofSeconds(10));
        assertThat(config.caBundle()).isEmpty();
        assertThat(config.proxies()).isEmpty();
        assertThat(config.userAgent()).startsWith("gptq4j; java/");
    }

    @Test
    void aVariableThatIsEmptyIsNone() {
        assertThat(of("HF_HOME", " ", "HF_ENDPOINT", "", "HF_TOKEN", "\n", "HF_HUB_OFFLINE", "")
                        .home())
                .isEqualTo(user.resolve(".cache/huggingface"));
    }

    @Test
    void foldersFollowFromEachOther() {
        assertThat(of("XDG_CACHE_HOME", "/xdg").cache()).isEqualTo(Path.of("/xdg/huggingface/hub"));
        assertThat(of("XDG_CACHE_HOME", "/xdg", "HF_HOME", "/hf").cache()).isEqualTo(Path.of("/hf/hub"));
        assertThat(of("HF_HOME", "/hf").tokenFile()).isEqualTo(Path.of("/hf/token"));
        assertThat(of("HF_HOME", "/hf", "HF_TOKEN_PATH", "/t").tokenFile()).isEqualTo(Path.of("/t"));
        assertThat(of("HF_HOME", "/hf", "HUGGINGFACE_HUB_CACHE", "/old").cache())
                .isEqualTo(Path.of("/old"));
        assertThat(of("HF_HUB_CACHE", "/new", "HUGGINGFACE_HUB_CACHE", "/old").cache())
                .isEqualTo(Path.of("/new"));
    }

    @Test
    void tildesAndVariablesInFoldersAreReplaced() {
        assertThat(of("HF_HOME", "~").home()).isEqualTo(user);
        assertThat(of("HF_HOME", "~/hf").home()).isEqualTo(user.resolve("hf"));
        assertThat(of("HF_HOME", "$BASE/${NAME}x", "BASE", "/b", "NAME", "n$1").home())
                .isEqualTo(Path.of("/b/n$1x"));
        assertThat(of("HF_HOME", "/x/$UNKNOWN/~").home()).isEqualTo(Path.of("/x/$UNKNOWN/~"));
        assertThat(of("HF_HUB_CACHE", "$TILDE/c", "TILDE", "~").cache()).isEqualTo(user.resolve("c"));
    }

    @ParameterizedTest
    @ValueSource(strings = {"1", "ON", "on", "yes", "True", " TRUE "})
    void theseMeanYes(String value) {
        assertThat(of("HF_HUB_OFFLINE", value).isOffline()).isTrue();
        assertThat(of("TRANSFORMERS_OFFLINE", value).isOffline()).isTrue();
        assertThat(of("HF_HUB_DISABLE_SYMLINKS", value).usesSymlinks()).isFalse();
    }

    @ParameterizedTest
    @ValueSource(strings = {"0", "off", "no", "false", "2", "y"})
    void everythingElseMeansNo(String value) {
        assertThat(of("HF_HUB_OFFLINE", value).isOffline()).isFalse();
        assertThat(of("HF_HUB_DISABLE_SYMLINKS", value).usesSymlinks()).isTrue();
    }

    @ParameterizedTest
    @CsvSource({
        "https://hub.example/, https://hub.example",
        "http://localhost:8080//, http://localhost:8080",
        "https://hub.example/hf/, https://hub.example/hf",
        "http://10.0.0.1:1, http://10.0.0.1:1",
        "http://[::1]:8080, http://[::1]:8080",
        "http://hub_in_compose:8080, http://hub_in_compose:8080"
    })
    void anEndpointIsAnAddressWithoutASlashAtItsEnd(String value, String endpoint) {
        assertThat(of("HF_ENDPOINT", value).endpoint()).isEqualTo(endpoint);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "huggingface.co",
                "ftp://x",
                "https://",
                "https://x?y",
                "https://x#y",
                "not an address",
                "file:///x",
                "https:x"
            })
    void anEndpointThatIsNoneIsRefusedByItsVariable(String value) {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> of("HF_ENDPOINT", value))
                .withMessage("HF_ENDPOINT is '" + value.replaceFirst("/+$", "") + "'; expected an address such as"
                        + " https://huggingface.co, without a user and a query");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> HubConfig.fromEnvironment(Map.of(), user).endpoint(value))
                .withMessageStartingWith("the endpoint is '");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "https://alice:geheim@hub.example",
                "https://alice:ge/he@geheim@hub.example/",
                "alice:geheim@hub.example",
                "ftp://geheim@hub.example"
            })
    void aPasswordIsNotRepeated(String endpoint) {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> of("HF_ENDPOINT", endpoint))
                .withMessageContaining("HF_ENDPOINT is '")
                .withMessageContaining("hub.example'; expected an address")
                .withMessageNotContaining("geheim");
    }

    @Test
    void theTokenOfAVariableGoesBeforeThatOfTheFile() throws IOException {
        Path file = Files.createDirectories(user.resolve(".cache/huggingface")).resolve("token");
        Files.writeString(file, "hf_fromfile\n");
        assertThat(of().token()).contains(new HubToken("hf_fromfile", "the file " + file));
        assertThat(of("HUGGING_FACE_HUB_TOKEN", "hf_old").token())
                .contains(new HubToken("hf_old", "the environment variable HUGGING_FACE_HUB_TOKEN"));
        assertThat(of("HUGGING_FACE_HUB_TOKEN", "hf_old", "HF_TOKEN", "hf_new").token())
                .contains(new HubToken("hf_new", "the environment variable HF_TOKEN"));
        assertThat(of("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1", "HF_TOKEN", "hf_new")
                        .token())
                .isEmpty();
        Files.writeString(file, " \n");
        assertThat(of().token()).isEmpty();
    }

    @Test
    void aTokenThatIsNoneIsRefusedByItsSource() throws IOException {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> of("HF_TOKEN", "hf_a b").token())
                .withMessageContaining("The token from the environment variable HF_TOKEN");
        Path file = Files.writeString(user.resolve("t"), "hf_ä");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> of("HF_TOKEN_PATH", file.toString()).token())
                .withMessageContaining("The token from the file " + file);
        Files.write(file, new byte[] {(byte) 0xff, (byte) 0xfe});
        assertThatThrownBy(() -> of("HF_TOKEN_PATH", file.toString()).token())
                .isInstanceOf(UncheckedIOException.class)
                .hasMessageContaining("The token file " + file + " cannot be read");
    }

    @Test
    void timesAreSecondsWithFractions() {
        assertThat(of("HF_HUB_ETAG_TIMEOUT", "2.5").metadataTimeout()).isEqualTo(Duration.ofMillis(2500));
        assertThat(of("HF_HUB_DOWNLOAD_TIMEOUT", "60").downloadTimeout()).isEqualTo(Duration.ofMinutes(1));
        assertThat(of("HF_HUB_DOWNLOAD_TIMEOUT", "0.0001").downloadTimeout()).isEqualTo(Duration.ofMillis(1));
    }

    @ParameterizedTest
    @ValueSource(strings = {"0", "-1", "ten", "NaN", "Infinity", "1e12"})
    void aTimeThatIsNoneIsRefusedByItsVariable(String value) {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> of("HF_HUB_ETAG_TIMEOUT", value))
                .withMessage("HF_HUB_ETAG_TIMEOUT is '" + value + "'; expected a number of seconds");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> of("HF_HUB_DOWNLOAD_TIMEOUT", value))
                .withMessageStartingWith("HF_HUB_DOWNLOAD_TIMEOUT is");
    }

    @Test
    void certificatesAreFoundByThreeNames() {
        assertThat(of("CURL_CA_BUNDLE", "/c").caBundle()).contains(Path.of("/c"));
        assertThat(of("CURL_CA_BUNDLE", "/c", "REQUESTS_CA_BUNDLE", "/r").caBundle())
                .contains(Path.of("/r"));
        assertThat(of("REQUESTS_CA_BUNDLE", "/r", "SSL_CERT_FILE", "~/s").caBundle())
                .contains(user.resolve("s"));
    }

    @Test
    void proxiesAreFoundByNamesInBothCasesTheSmallOneFirst() {
        assertThat(of("HTTPS_PROXY", "http://p", "https_proxy", "http://q", "NO_PROXY", "*", "ALL_PROXY", " ")
                        .proxies())
                .containsExactlyInAnyOrderEntriesOf(Map.of("https_proxy", "http://q", "no_proxy", "*"));
    }

    @Test
    void theUserAgentNamesWhoAsks() {
        String agent = HubConfig.fromEnvironment(Map.of("HF_HUB_USER_AGENT_ORIGIN", "c i\n"), user)
                .product("gptq4j/0.1.0")
                .build()
                .userAgent();
        assertThat(agent).matches("gptq4j/0\\.1\\.0; java/[^;]+; origin/ci");
    }

    @Test
    void aBuilderChangesWhatTheEnvironmentSaid() {
        HubToken token = new HubToken("hf_other", "an option");
        HubConfig config = HubConfig.fromEnvironment(Map.of("HF_TOKEN", "hf_env", "HF_HUB_OFFLINE", "1"), user)
                .endpoint("http://mirror/")
                .cache(Path.of("/c"))
                .token(token)
                .offline(false)
                .caBundle(Path.of("/ca"))
                .downloadTimeout(Duration.ofSeconds(3))
                .build();
        assertThat(config.endpoint()).isEqualTo("http://mirror");
        assertThat(config.cache()).isEqualTo(Path.of("/c"));
        assertThat(config.token()).contains(token);
        assertThat(config.isOffline()).isFalse();
        assertThat(config.caBundle()).contains(Path.of("/ca"));
        assertThat(config.downloadTimeout()).isEqualTo(Duration.ofSeconds(3));
        assertThat(HubConfig.fromEnvironment(Map.of("HF_TOKEN", "hf_env"), user)
                        .token(null)
                        .build()
                        .token())
                .isEmpty();
    }
}
