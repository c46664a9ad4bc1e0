package io.gptq4j.it;

import static io.gptq4j.it.HubBench.ONE;
import static io.gptq4j.it.HubBench.random;
import static io.gptq4j.it.Play.added;
import static io.gptq4j.it.Play.changed;
import static io.gptq4j.it.Play.dropped;
import static io.gptq4j.it.Play.lastChanged;
import static org.assertj.core.api.Assertions.assertThat;

import io.gptq4j.hub.HubClient;
import io.gptq4j.hub.error.AuthenticationException;
import io.gptq4j.hub.error.DisabledRepositoryException;
import io.gptq4j.hub.error.GatedRepositoryException;
import io.gptq4j.hub.error.HubNetworkException;
import io.gptq4j.hub.error.RepositoryNotFoundException;
import io.gptq4j.hub.repo.Repo;
import io.gptq4j.hub.repo.Revision;
import io.gptq4j.it.hub.FakeHub;
import io.gptq4j.it.hub.Fault;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

/** What both say where a download fails or is refused; see src/test/resources/traces. */
class TraceDownloadFaultsTest extends TraceDownloadFixture {
    private static final String WHOLE = "GET /_cdn/{sha256 of 3000000 bytes} -> 200";
    private static final String RESUMES = "what has arrived is kept, to the byte";
    private static final String TRIES_AGAIN = "a store that fails is asked again";

    /** Arms faults and downloads a file anew. */
    private Play.Action anew(HubClient client, String path, Fault... faults) {
        return () -> {
            for (Fault fault : faults) {
                bench.hub().fault(fault);
            }
            return client.file(LLAMA, Revision.MAIN, path, null, true, false);
        };
    }

    private static Fault onStore() {
        return Fault.on("GET", "/_cdn/");
    }

    private static Fault onHead() {
        return Fault.on("HEAD", "/acme/");
    }

    private static String resumed(long from) {
        return "GET /_cdn/{sha256 of 3000000 bytes} -> 206\n  range: bytes=" + from + "-";
    }

    @Test
    void trace03Faults() throws Exception {
        HubClient client = alice("HF_HUB_DOWNLOAD_TIMEOUT", "2");
        Play play = new Play(bench.hub(), "03-download-faults");
        play.scene(
                "content cut off",
                anew(client, ONE, onStore().dropAfter(1_200_000)),
                lastChanged(RESUMES, "-> 200", "-> 206\n  range: bytes=1200000-"));
        play.scene(
                "content cut off, no ranges",
                anew(client, ONE, onStore().dropAfter(1_200_000), onStore().ignoreRange()),
                lastChanged(RESUMES, "$", "\n  range: bytes=1200000-"));
        play.scene("429, Retry-After", anew(client, ONE, onStore().status(429).retryAfter(2)));
        play.scene("429, RateLimit", anew(client, ONE, onStore().status(429).rateLimit(1)));
        play.scene("503 of the store", anew(client, ONE, onStore().status(503)), added(TRIES_AGAIN, WHOLE));
        play.scene("503 of the hub, not cached", anew(client, "tokenizer.json", onHead().status(503)));
        play.scene("503 of the hub, cached", () -> {
            bench.hub().fault(onHead().status(503));
            return file(client, "tokenizer.json");
        });
        play.scene(
                "429 of the hub, not cached",
                anew(client, "README.md", onHead().status(429).retryAfter(1)));
        play.scene(
                "flipped bit",
                anew(client, ONE, onStore().corrupt()),
                added("the hash is checked, and a wrong file fetched once more", WHOLE));
        play.scene("verification", () -> client.tree(LLAMA, new Revision(bench.commit()), null, true));
        play.scene(
                "content too short",
                anew(client, ONE, onStore().shortBody()),
                added("a body that ends too early is a broken connection", resumed(1_500_000)));
        play.scene("closed before the answer", anew(client, ONE, onStore().refuse()), added(TRIES_AGAIN, WHOLE));
        play.scene(
                "stalled content",
                anew(client, ONE, onStore().stall(500_000, Duration.ofSeconds(6))),
                lastChanged(RESUMES, "-> 200", "-> 206\n  range: bytes=500000-"));
        play.without("killed", "needs a process: KillIT, and case 20 of ConformanceFaultIT");
        play.without("after the kill", "the same");
        play.scene(
                "gzip",
                anew(client, "tokenizer.json", Fault.on("GET", "tokenizer.json").gzip()));
        play.scene(
                "no commit in the first answer",
                anew(client, ".gitattributes", onHead().withoutHeader("X-Repo-Commit")));
        play.scene(
                "content cut off nine times",
                anew(client, ONE, onStore().dropAfter(300_000).times(9)),
                dropped("each attempt goes on where the last one ended ...", "GET "),
                added(
                        "... and as long as bytes arrive there is another one",
                        WHOLE,
                        resumed(300_000),
                        resumed(600_000),
                        resumed(900_000),
                        resumed(1_200_000),
                        resumed(1_500_000),
                        resumed(1_800_000),
                        resumed(2_100_000),
                        resumed(2_400_000),
                        resumed(2_700_000)));
        play.end();
    }

    @Test
    void trace04ResumingALargerFile() throws Exception {
        byte[] content = random(4, (25 << 20) + 123);
        bench.hub().repo("acme/big").commit("main", "seed", Map.of("model.safetensors", content));
        HubClient client = alice();
        Play play = new Play(bench.hub(), "04-range-resume-25MiB");
        Play.Action fetch = () -> client.file(repo("acme/big"), Revision.MAIN, "model.safetensors", null, true, false);
        Play.Edit toTheByte = changed(RESUMES, "bytes=20971520-", "bytes=24000000-");
        bench.hub().fault(onStore().dropAfter(24_000_000));
        play.scene("content cut off", fetch, toTheByte);
        bench.hub().fault(onStore().dropAfter(24_000_000)).fault(onStore().ignoreRange());
        play.scene("content cut off, no ranges", fetch, toTheByte);
        bench.hub().fault(onStore().dropAfter(24_000_000)).fault(onStore().status(503));
        String resumed = "GET /_cdn/{sha256 of 26214523 bytes} -> 206\n  range: bytes=24000000-";
        play.scene("content cut off, then 503", fetch, toTheByte, added(TRIES_AGAIN, resumed));
        play.without("content reset", "how much arrives before a reset is not certain: case 28 of ConformanceFaultIT");
        play.end();
    }

    @Test
    void trace05TokensAndRefusals() throws Exception {
        bench.hub()
                .repo("alice/private-one")
                .commit("main", "seed", Map.of("config.json", "{}"))
                .makePrivate();
        bench.hub().repo("acme/many").commit("main", "seed", Map.of("a.txt", "a"));
        HubClient anonymous = bench.client("");
        HubClient bob = bench.client(FakeHub.READ_TOKEN);
        HubClient alice = alice();
        HubClient garbage = bench.client("hf_garbage");
        HubClient silent = alice("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1");
        Repo gated = repo("acme/gated-llama");
        Play play = new Play(bench.hub(), "05-auth-and-errors");
        play.refused(
                "gated, no token",
                GatedRepositoryException.class,
                () -> anonymous.file(gated, Revision.MAIN, "config.json"));
        play.refused(
                "gated, not granted",
                GatedRepositoryException.class,
                () -> bob.file(gated, Revision.MAIN, "config.json"));
        play.refused(
                "gated snapshot, not granted",
                GatedRepositoryException.class,
                () -> bob.snapshot(one("acme/gated-llama")),
                changed("the listing tells what HEADs ask for", "HEAD", "GET"),
                changed("the same", "\n  accept-encoding: identity", ""),
                dropped("the first refusal ends a snapshot", "GET .*/config.json"));
        play.refused(
                "missing, no token",
                RepositoryNotFoundException.class,
                () -> anonymous.file(repo("acme/nothing"), Revision.MAIN, "config.json"));
        play.refused(
                "missing, token",
                RepositoryNotFoundException.class,
                () -> bob.file(repo("acme/nothing"), Revision.MAIN, "config.json"));
        play.refused(
                "private, not ours",
                RepositoryNotFoundException.class,
                () -> bob.file(repo("alice/private-one"), Revision.MAIN, "config.json"));
        play.scene("private, ours", () -> alice.file(repo("alice/private-one"), Revision.MAIN, "config.json"));
        play.refused("token nobody knows", AuthenticationException.class, () -> file(garbage, "config.json"));
        play.refused("whoami, token nobody knows", AuthenticationException.class, garbage::whoami);
        play.refused("whoami, no token", AuthenticationException.class, anonymous::whoami);
        play.scene("whoami", alice::whoami);
        play.scene("stored token switched off", () -> file(silent, "config.json"));
        play.scene("token left out", () -> file(anonymous, "config.json"));
        bench.llama().disable();
        play.refused("disabled", DisabledRepositoryException.class, () -> file(alice, "README.md"));
        bench.llama().enable();
        play.scene(
                "what exists",
                () -> List.of(
                        bob.exists(LLAMA),
                        bob.exists(repo("acme/zzz")),
                        bob.exists(gated),
                        bob.exists(LLAMA, new Revision("dev")),
                        bob.exists(LLAMA, new Revision("zz"))));
        play.without("whether files exist", "there is no method for it; pathsInfo asks for many at once");
        play.without("auth-check", "there is no method for it; the refusal of a download says the same");
        bench.hub().repo("acme/gated-llama").authorise("bob");
        play.scene("gated, granted", () -> bob.file(gated, Revision.MAIN, "config.json"));
        bench.hub().fault(Fault.on("GET", "/api/models/acme/many").status(500));
        play.scene(
                "500 of the info",
                () -> bob.exists(repo("acme/many")),
                added(
                        "the API is asked again, too",
                        "GET /api/models/acme/many -> 200\n  authorization: Bearer hf_fakeread"));
        bench.hub().fault(Fault.on("GET", "/api/whoami-v2").status(429).rateLimit(3));
        play.scene(
                "429 of whoami",
                bob::whoami,
                added("the API is asked again, too", "GET /api/whoami-v2 -> 200\n  authorization: Bearer hf_fakeread"));
        play.end();
    }

    @Test
    void trace14NetworkAndCache() throws Exception {
        HubClient client = alice();
        HubClient away = alice("HF_ENDPOINT", "http://127.0.0.1:9");
        Play play = new Play(bench.hub(), "14-network-and-cache");
        play.scene("fill", () -> file(client, "config.json"));
        play.scene("hub away, cached", () -> file(away, "config.json"));
        play.scene("hub away, snapshot without a listing", () -> away.snapshot(one("acme/tiny-llama")));
        bench.hub()
                .fault(Fault.on("HEAD", "tokenizer.json")
                        .withoutHeader("X-Repo-Commit")
                        .times(2));
        String asAlice = "\n  authorization: Bearer hf_fakewrite";
        String get = "GET /api/resolve-cache/models/acme/tiny-llama/{commit}/tokenizer.json -> 200" + asAlice;
        play.scene(
                "no commit in any answer",
                () -> file(client, "tokenizer.json"),
                added(
                        "what a mirror leaves out is asked of the API",
                        "GET /api/models/acme/tiny-llama/revision/main -> 200" + asAlice,
                        get));
        HubClient other = alice("HF_HUB_CACHE", directory.resolve("other").toString());
        bench.hub()
                .fault(Fault.on("HEAD", "tokenizer.json")
                        .withoutHeader("Content-Length")
                        .times(2));
        play.scene(
                "no length in any answer",
                () -> file(other, "tokenizer.json"),
                added(
                        "what a mirror leaves out is asked of the API",
                        "POST /api/models/acme/tiny-llama/paths-info/{commit} -> 200" + asAlice
                                + "\n  content-type: application/x-www-form-urlencoded\n  content-length: given"
                                + "\n  paths=tokenizer.json&expand=false",
                        get));
        HubClient noLinks =
                alice("HF_HUB_CACHE", directory.resolve("nosym").toString(), "HF_HUB_DISABLE_SYMLINKS", "1");
        play.scene("no links", () -> file(noLinks, "tokenizer.json"));
        play.scene("no links, by tag", () -> noLinks.file(LLAMA, new Revision("v1.0"), "tokenizer.json"));
        HubClient legacy =
                alice("HUGGINGFACE_HUB_CACHE", directory.resolve("legacy").toString());
        play.scene("old variable of the cache", () -> file(legacy, ONE));
        assertThat(directory.resolve("legacy/models--acme--tiny-llama")).isDirectory();
        play.without("two at once", "needs two processes: case 39 of ConformanceFaultIT");
        play.refused("hub away, not cached", HubNetworkException.class, () -> file(away, "README.md"));
        play.end();
    }
}
