package io.gptq4j.it;

import static org.assertj.core.api.Assertions.assertThat;

import io.gptq4j.it.hub.FakeHub;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;

/** The commands auth, cache, repo and info, as a process against a hub. */
@Execution(ExecutionMode.CONCURRENT) // most of the time goes into starting Java
class HubCommandsIT {
    private final FakeHub hub = FakeHub.start();

    @TempDir
    Path home;

    private Cli cli = new Cli();

    @BeforeEach
    void settings() {
        cli = new Cli()
                .with("GPTQ4J_OPTS", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")
                .with("HF_ENDPOINT", hub.url())
                .with("HF_HOME", home.toString());
    }

    @AfterEach
    void closeHub() {
        hub.close();
    }

    @Test
    void aTokenIsCheckedStoredUsedAndForgotten() throws Exception {
        assertThat(cli.run("auth", "whoami").exitCode()).isEqualTo(1);
        assertThat(cli.run("auth", "login").err()).contains("There is no terminal");
        assertThat(cli.run("auth", "login", "--token", "hf_garbage").exitCode()).isEqualTo(1);
        assertThat(home).isEmptyDirectory();
        assertThat(cli.run("auth", "login", "--token", FakeHub.WRITE_TOKEN).exitCode())
                .isZero();
        assertThat(cli.run("auth", "whoami", "-q").out().lines()).containsExactly("alice");
        assertThat(cli.run("auth", "logout").exitCode()).isZero();
        assertThat(home).isEmptyDirectory();
    }

    @Test
    void aRepositoryIsMadeTaggedAndRemoved() throws Exception {
        cli.with("HF_TOKEN", FakeHub.WRITE_TOKEN);
        assertThat(cli.run("repo", "create", "alice/m", "--private", "-q").out().lines())
                .containsExactly("alice/m");
        assertThat(cli.run("repo", "create", "alice/m").exitCode()).isEqualTo(1);
        assertThat(cli.run("repo", "tag", "create", "alice/m", "v1").exitCode()).isZero();
        assertThat(cli.run("repo", "tag", "list", "alice/m", "-q").out().lines())
                .containsExactly("v1");
        assertThat(cli.run("info", "alice/m", "--revision", "v1").out()).contains("private");
        assertThat(cli.run("repo", "delete", "alice/m").exitCode()).isEqualTo(1);
        assertThat(hub.hasRepo("model", "alice/m")).isTrue();
        assertThat(cli.run("repo", "delete", "alice/m", "--yes").exitCode()).isZero();
        assertThat(hub.hasRepo("model", "alice/m")).isFalse();
    }

    @Test
    void whatWasDownloadedIsListedVerifiedAndDeleted() throws Exception {
        hub.repo("acme/tiny")
                .commit("main", "first", Map.of("config.json", "{}", "sub/w.bin", new byte[] {0, 1, 2, 3}));
        assertThat(cli.run("download", "acme/tiny").exitCode()).isZero();
        assertThat(cli.run("cache", "ls", "-q").out().lines()).containsExactly("model/acme/tiny");
        assertThat(cli.run("cache", "verify", "acme/tiny").out()).contains("All checksums match");
        damage(home.resolve(
                "hub/models--acme--tiny/snapshots/" + hub.repo("acme/tiny").head("main") + "/config.json"));
        Cli.Result damaged = cli.run("cache", "verify", "acme/tiny");
        assertThat(damaged.exitCode()).isEqualTo(1);
        assertThat(damaged.out())
                .contains("config.json: expected " + hub.repo("acme/tiny").etag("main", "config.json"));
        assertThat(cli.run("cache", "rm", "model/acme/tiny").exitCode()).isEqualTo(1);
        assertThat(cli.run("cache", "rm", "model/acme/tiny", "-y").exitCode()).isZero();
        assertThat(home.resolve("hub/models--acme--tiny")).doesNotExist();
    }

    private static void damage(Path file) throws IOException {
        Files.writeString(file.toRealPath(), "[]");
    }
}
