package io.gptq4j.it;

import static io.gptq4j.it.HubBench.files;
import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.ObjectMapper;
import io.gptq4j.it.hub.FakeHub;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;

/** What the commands say and how they end; docs/hub-conformance.md lists the cases by number. */
@Execution(ExecutionMode.CONCURRENT) // most of the time goes into starting Java
class ConformanceCommandIT extends HubBenchFixture {
    @Test // 56
    void aLoginChecksTheTokenAndKeepsItToItself() throws Exception {
        Cli.Result login = bench.anonymous().run("auth", "login", "--token", FakeHub.WRITE_TOKEN);
        assertThat(login.exitCode()).as(login.err()).isZero();
        assertThat(bench.asked()).containsExactly("GET /api/whoami-v2 200");
        Path token = bench.home().resolve("token");
        Path stored = bench.home().resolve("stored_tokens");
        assertThat(token).content().isEqualTo("hf_fakewrite");
        assertThat(stored).content().isEqualTo("[alice-token]\nhf_token = hf_fakewrite\n\n");
        for (Path file : new Path[] {token, stored}) {
            assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(file)))
                    .isEqualTo("rw-------");
        }

        Cli.Result list = bench.anonymous().run("auth", "list");
        assertThat(list.exitCode()).as(list.err()).isZero();
        assertThat(list.out()).containsPattern("\\* +alice-token +hf_\\*{4}rite\n");
        assertThat(list.out() + list.err() + login.out() + login.err()).doesNotContain(FakeHub.WRITE_TOKEN);

        Cli.Result whoami = bench.anonymous().run("auth", "whoami");
        assertThat(whoami.out())
                .contains(
                        "user: alice", "orgs: acme", "endpoint: " + bench.hub().url());

        Cli.Result garbage = bench.anonymous().run("auth", "login", "--token", "hf_garbage");
        assertThat(garbage.exitCode()).isEqualTo(1);
        assertThat(garbage.err()).startsWith("error: ").contains("does not accept the token", "--token");
        assertThat(token).content().isEqualTo("hf_fakewrite");
        assertThat(stored).content().isEqualTo("[alice-token]\nhf_token = hf_fakewrite\n\n");
        assertThat(files(bench.home())).containsExactly("stored_tokens", "token");
    }

    @Test // 57
    void usageErrorsAndOtherErrorsEndDifferently() throws Exception {
        Cli.Result unknown = bench.download("--bogus");
        assertThat(unknown.exitCode()).isEqualTo(2);
        assertThat(unknown.out()).isEmpty();
        assertThat(unknown.err()).startsWith("error: ").contains("--bogus", "download --help");
        Cli.Result both = bench.download("--local-dir", "a", "--cache-dir", "b");
        assertThat(both.exitCode()).isEqualTo(1);
        assertThat(both.out()).isEmpty();
        assertThat(both.err())
                .startsWith("error: ")
                .contains("--local-dir", "--cache-dir")
                .hasLineCount(1);
        assertThat(bench.asked()).isEmpty();
        assertThat(directory.resolve("a")).doesNotExist();
        assertThat(directory.resolve("b")).doesNotExist();
    }

    @Test // 58
    void aScriptGetsThePathAloneOrOneJsonObject() throws Exception {
        Cli.Result quiet = bench.download("config.json", "-q");
        assertThat(quiet.exitCode()).as(quiet.err()).isZero();
        assertThat(quiet.out()).isEqualTo(bench.pointer("config.json") + "\n");
        assertThat(quiet.err()).isEmpty();
        Cli.Result json = bench.download("config.json", "--json");
        assertThat(json.exitCode()).as(json.err()).isZero();
        ObjectMapper mapper = new ObjectMapper();
        assertThat(mapper.readTree(json.out()))
                .isEqualTo(mapper.createObjectNode()
                        .put("path", bench.pointer("config.json").toString()));
    }
}
