package io.gptq4j.it;

import static io.gptq4j.it.HubBench.ONE;
import static io.gptq4j.it.HubBench.TWO;
import static io.gptq4j.it.Play.changed;
import static io.gptq4j.it.Play.dropped;
import static io.gptq4j.it.Play.lastChanged;
import static io.gptq4j.it.Play.treeTellsWhatHeadsAskFor;

import io.gptq4j.hub.HubClient;
import io.gptq4j.hub.error.EntryNotFoundException;
import io.gptq4j.hub.error.LocalEntryNotFoundException;
import io.gptq4j.hub.error.RevisionNotFoundException;
import io.gptq4j.hub.repo.RepoType;
import io.gptq4j.hub.repo.Revision;
import io.gptq4j.hub.repo.SearchQuery;
import io.gptq4j.hub.transfer.Patterns;
import io.gptq4j.hub.transfer.SnapshotRequest;
import io.gptq4j.it.hub.FakeHub;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;

/** What the original says to download, and what we say; see src/test/resources/traces. */
class TraceDownloadTest extends TraceDownloadFixture {
    @Test
    void trace01Snapshots() throws Exception {
        serve(FakeHub.builder().pageSize(5));
        HubClient client = alice();
        HubClient offline = alice("HF_HUB_OFFLINE", "1");
        Play play = new Play(bench.hub(), "01-snapshot-download");
        SnapshotRequest all = one("acme/tiny-llama");
        play.scene("everything into an empty cache", () -> client.snapshot(all), treeTellsWhatHeadsAskFor());
        play.scene("again", () -> client.snapshot(all));
        play.scene("by commit", () -> client.snapshot(all.at(new Revision(bench.commit()))));
        play.scene("by tag", () -> client.snapshot(all.at(new Revision("v1.0"))));
        play.scene(
                "forced, with patterns",
                () -> client.snapshot(all.force(true).only(Patterns.of(List.of("*.json", "sub/"), List.of("tok*")))),
                treeTellsWhatHeadsAskFor());
        play.scene("only what would be done", () -> client.plan(all));
        play.scene("offline", () -> offline.snapshot(all));
        play.refused(
                "offline, never seen", LocalEntryNotFoundException.class, () -> offline.snapshot(one("acme/many")));
        play.end();
    }

    @Test
    void trace02Files() throws Exception {
        HubClient anonymous = bench.client("");
        HubClient client = alice();
        Play play = new Play(bench.hub(), "02-hf-hub-download");
        play.scene("small file, no token", () -> file(anonymous, "config.json"));
        play.scene("large file", () -> file(client, ONE));
        play.scene("large file again", () -> file(client, ONE));
        play.scene("file in a folder of a branch", () -> client.file(LLAMA, new Revision("dev"), "sub/notes.txt"));
        play.scene("empty file", () -> file(client, "empty.txt"));
        play.refused("missing file", EntryNotFoundException.class, () -> file(client, "nope.json"));
        play.refused(
                "missing revision",
                RevisionNotFoundException.class,
                () -> client.file(LLAMA, new Revision("nobranch"), "config.json"));
        play.scene("only this disk", () -> client.file(LLAMA, Revision.MAIN, "config.json", null, false, true));
        play.end();
    }

    @Test
    void trace06LocalFolder() throws Exception {
        HubClient client = alice();
        Path out = directory.resolve("out");
        Path notes = out.resolve(".cache/huggingface/download");
        Play play = new Play(bench.hub(), "06-local-dir");
        SnapshotRequest all = one("acme/tiny-llama").into(out);
        play.scene("snapshot", () -> client.snapshot(all), treeTellsWhatHeadsAskFor());
        play.scene("again", () -> client.snapshot(all));
        Files.writeString(out.resolve("config.json"), "edited");
        play.scene("edited file", () -> client.file(LLAMA, Revision.MAIN, "config.json", out, false, false));
        Files.delete(notes.resolve(ONE + ".metadata"));
        play.scene("large file without a note", () -> client.file(LLAMA, Revision.MAIN, ONE, out, false, false));
        Files.delete(notes.resolve("tokenizer.json.metadata"));
        play.scene(
                "small file without a note",
                () -> client.file(LLAMA, Revision.MAIN, "tokenizer.json", out, false, false),
                dropped("a small file is recognised by its git id, as a large one by its sha256", "GET "));
        play.refused(
                "path that leads out",
                IllegalArgumentException.class,
                () -> client.file(LLAMA, Revision.MAIN, "../evil", out, false, false));
        play.end();
    }

    @Test
    void trace07Listings() throws Exception {
        serve(FakeHub.builder().pageSize(10));
        Map<String, String> many = new TreeMap<>();
        for (int i = 0; i < 24; i++) {
            many.put(String.format("d%d/f%02d.txt", i % 3, i), "file " + i);
        }
        bench.hub().repo("acme/many").commit("main", "seed", many);
        HubClient bob = bench.client(FakeHub.READ_TOKEN);
        HubClient alice = alice();
        Play play = new Play(bench.hub(), "07-listing-and-refs");
        play.scene("all files, in pages", () -> bob.tree(repo("acme/many"), Revision.MAIN, null, true));
        play.scene("top folder", () -> bob.tree(repo("acme/many"), Revision.MAIN, null, false));
        play.scene(
                "folder with last commits",
                () -> bob.tree(LLAMA, Revision.MAIN, "sub", false),
                changed("nobody needs the last commits", "expand=true", "expand=false"));
        play.scene("some paths", () -> bob.pathsInfo(LLAMA, Revision.MAIN, List.of("config.json", "sub", "nope", ONE)));
        play.scene("refs", () -> bob.refs(LLAMA));
        play.without("commits", "there is no method for it");
        play.scene(
                "search",
                () -> bob.search(new SearchQuery(
                        RepoType.MODEL, "llama", "acme", List.of("license:apache-2.0"), "lastModified", 5)),
                changed(
                        "other order, and the short form of the infos will do",
                        "filter=license:apache-2.0&author=acme&search=llama&sort=lastModified&limit=5&full=true",
                        "search=llama&author=acme&filter=license:apache-2.0&sort=lastModified&limit=5"));
        play.without("search, expanded", "there is no method for it");
        play.scene(
                "info with sizes",
                () -> bob.info(LLAMA, Revision.MAIN),
                changed(
                        "always at a revision; the listing tells the sizes",
                        "/acme/tiny-llama\\?blobs=true",
                        "/acme/tiny-llama/revision/main"));
        play.scene("branches and tags", () -> {
            Revision branch = new Revision("exp/one");
            alice.createBranch(LLAMA, branch.name(), null, false);
            alice.createBranch(LLAMA, branch.name(), null, true);
            alice.createTag(LLAMA, "v2", branch, "two", false);
            alice.deleteTag(LLAMA, "v2");
            alice.deleteBranch(LLAMA, branch.name());
            return branch;
        });
        play.refused(
                "pull request that is missing",
                RevisionNotFoundException.class,
                () -> bob.file(LLAMA, new Revision("refs/pr/9"), "config.json"));
        play.end();
    }

    @Test
    void trace13XetIsPassedOver() throws Exception {
        serve(FakeHub.builder().xet(true));
        HubClient client = alice();
        Play play = new Play(bench.hub(), "13-xet-advertised");
        play.scene(
                "large file",
                () -> file(client, ONE),
                dropped("the address that the HEAD gave is used", "GET /acme/tiny-llama/resolve/"));
        play.scene(
                "snapshot",
                () -> client.snapshot(one("acme/tiny-llama")),
                dropped("the listing tells what this HEAD asks for", "HEAD \\S+/resolve/\\S+" + TWO),
                treeTellsWhatHeadsAskFor());
        play.end();
    }

    @Test
    void trace15StoreBehindTheHub() throws Exception {
        serve(FakeHub.builder().cdnSameHost(true).resolveStyle(FakeHub.ResolveStyle.DIRECT));
        HubClient client = alice();
        Play play = new Play(bench.hub(), "15-same-authority-and-direct");
        play.scene(
                "answered at once",
                () -> file(client, "config.json"),
                lastChanged(
                        "the content is that of the commit, whatever happens to the branch",
                        "/resolve/main/",
                        "/resolve/{commit}/"));
        play.scene(
                "store behind the hub",
                () -> file(client, TWO),
                lastChanged(
                        "a token is for the hub's routes, not for all that is behind its name",
                        "-> 400\n  authorization: .*",
                        "-> 200"));
        HubClient anonymous =
                bench.client("", "HF_HUB_CACHE", directory.resolve("other").toString());
        play.scene("store behind the hub, no token", () -> file(anonymous, TWO));
        play.end();
    }
}
