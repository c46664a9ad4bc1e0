package io.gptq4j.it;

import static io.gptq4j.it.HubBench.random;
import static io.gptq4j.it.Play.added;
import static io.gptq4j.it.Play.addedAt;
import static io.gptq4j.it.Play.changed;
import static io.gptq4j.it.Play.dropped;
import static io.gptq4j.it.Play.onTopOfTheHead;
import static io.gptq4j.it.Play.onceOf;

import io.gptq4j.hub.HubClient;
import io.gptq4j.hub.error.EntryNotFoundException;
import io.gptq4j.hub.error.HubException;
import io.gptq4j.hub.error.HubHttpException;
import io.gptq4j.hub.error.RepositoryNotFoundException;
import io.gptq4j.hub.error.RevisionNotFoundException;
import io.gptq4j.hub.repo.Repo;
import io.gptq4j.hub.repo.RepoId;
import io.gptq4j.hub.repo.RepoType;
import io.gptq4j.hub.repo.Revision;
import io.gptq4j.hub.transfer.CommitOperation;
import io.gptq4j.hub.transfer.CommitRequest;
import io.gptq4j.hub.transfer.Patterns;
import io.gptq4j.it.hub.FakeHub;
import io.gptq4j.it.hub.Fault;
import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** What the original says to upload, and what we say; see src/test/resources/traces. */
class TraceUploadTest extends HubBenchFixture {
    private static final String AS_ALICE = "\n  authorization: Bearer hf_fakewrite";
    private static final String UNCHANGED = "the Hub has just said that nothing has changed";
    private static final String AT_REVISION = "always at a revision";

    private HubClient alice;
    private HubClient bob;

    @Override
    FakeHub.Builder settings() {
        return FakeHub.inParts();
    }

    @BeforeEach
    void makeClients() throws IOException {
        alice = bench.client(FakeHub.WRITE_TOKEN);
        bob = bench.client(FakeHub.READ_TOKEN);
    }

    private static Repo repo(String id) {
        return new Repo(RepoType.MODEL, RepoId.parse(id));
    }

    private CommitOperation add(String path, Object content) throws IOException {
        HubBench.write(directory.resolve("files"), Map.of(path, content));
        return new CommitOperation.Add(path, directory.resolve("files").resolve(path));
    }

    private static CommitRequest one(Repo repo, String summary, CommitOperation... operations) {
        return CommitRequest.of(repo, List.of(operations), summary);
    }

    private static CommitRequest upload(Repo repo, CommitOperation operation) {
        return one(repo, "Upload " + operation.path() + " with huggingface_hub", operation);
    }

    @Test
    void trace08Folder() throws Exception {
        Repo repo = repo("alice/tiny-llama-GPTQ");
        Path folder = HubBench.write(
                directory.resolve("up"),
                Map.of(
                        "README.md",
                        "---\nbase_model: acme/tiny-llama\nbase_model_relation: quantized\nlicense: apache-2.0\n"
                                + "tags:\n- gptq\n- 4-bit\n---\n# x\n",
                        "config.json",
                        "{\"quantization_config\": {\"bits\": 4}}\n",
                        "quantize_config.json",
                        "{\"bits\": 4, \"group_size\": 128, \"desc_act\": false}\n",
                        "empty.bin",
                        "",
                        "gptq_model-4bit-128g.safetensors",
                        random(21, 1_500_000),
                        "model-big.safetensors",
                        random(22, 3_500_001),
                        "sub/a.txt",
                        "a\n",
                        ".git/HEAD",
                        "x"));
        CommitRequest upload = CommitRequest.of(
                repo,
                List.copyOf(CommitOperation.ofFolder(folder, "", Patterns.of(List.of(), List.of()))),
                "Upload folder using huggingface_hub");
        Play play = new Play(bench.hub(), "08-create-and-upload-folder");
        play.scene("create", () -> alice.createRepo(repo, true, false));
        play.refused("create again", HubHttpException.class, () -> alice.createRepo(repo, null, false));
        play.scene("create again, well", () -> alice.createRepo(repo, null, true));
        play.scene(
                "create a dataset",
                () -> alice.createRepo(new Repo(RepoType.DATASET, RepoId.parse("acme/other")), null, false));
        play.refused("create elsewhere", HubHttpException.class, () -> alice.createRepo(repo("carol/x"), null, false));
        Play.Edit checkedOnce = onceOf("the front matter is checked once", "POST /api/validate-yaml");
        play.scene("upload", () -> alice.commit(upload), checkedOnce, onTopOfTheHead());
        play.scene(
                "upload again", () -> alice.commit(upload), checkedOnce, dropped(UNCHANGED, "POST \\S+/objects/batch"));
        play.scene(
                "info",
                () -> alice.info(repo, Revision.MAIN),
                changed(AT_REVISION, "/alice/tiny-llama-GPTQ ", "/alice/tiny-llama-GPTQ/revision/main "));
        play.scene("list", () -> alice.tree(repo, Revision.MAIN, null, true));
        play.end();
    }

    @Test
    void trace09Commits() throws Exception {
        Repo m = repo("alice/m");
        Repo renamed = repo("alice/renamed");
        Play play = new Play(bench.hub(), "09-commit-operations");
        play.scene("create", () -> alice.createRepo(m, null, false));
        CommitOperation hello = add("hello.txt", "hello");
        play.scene("small file", () -> alice.commit(one(m, "one file", hello).describedAs("why")), onTopOfTheHead());
        CommitOperation model = add("model.safetensors", random(23, 1_500_000));
        play.scene("large file", () -> alice.commit(upload(m, model)), onTopOfTheHead());
        CommitOperation y = add("x/y.txt", "y");
        play.scene(
                "add, copy, delete",
                () -> alice.commit(one(
                        m,
                        "mixed",
                        y,
                        new CommitOperation.Copy("model.safetensors", null, "copy.safetensors"),
                        new CommitOperation.Copy("hello.txt", null, "hello2.txt"),
                        new CommitOperation.Delete("hello.txt", false))),
                dropped("what is at the target does not matter", "(?s)POST .*paths=copy.safetensors"),
                dropped("what is copied is fetched as any file, by way of the cache ...", "GET /alice/m/resolve/"),
                addedAt(
                        "... with its metadata first",
                        2,
                        List.of(
                                "HEAD /alice/m/resolve/{commit}/hello.txt -> 307" + AS_ALICE
                                        + "\n  accept-encoding: identity",
                                "HEAD /api/resolve-cache/models/alice/m/{commit}/hello.txt -> 200" + AS_ALICE
                                        + "\n  accept-encoding: identity")),
                addedAt(
                        "all copies of a commit are of one commit, whatever happens to the branch ...",
                        1,
                        List.of("GET /api/models/alice/m/revision/main -> 200" + AS_ALICE)),
                changed("... which is named from then on", "/paths-info/main", "/paths-info/{commit}"),
                onTopOfTheHead());
        play.scene(
                "delete a folder",
                () -> alice.commit(
                        one(m, "Delete folder x with huggingface_hub", new CommitOperation.Delete("x", true))),
                onTopOfTheHead());
        play.refused(
                "delete what is missing",
                EntryNotFoundException.class,
                () -> alice.commit(
                        one(m, "Delete nope.txt with huggingface_hub", new CommitOperation.Delete("nope.txt", false))),
                onTopOfTheHead());
        CommitOperation a = add("sub/a.txt", "a\n");
        play.scene(
                "folder with deletions",
                () -> {
                    alice.tree(m, Revision.MAIN, null, true);
                    return alice.commit(one(m, "with deletions", a));
                },
                onTopOfTheHead());
        CommitOperation z = add("z.txt", "z");
        play.refused(
                "wrong parent",
                HubHttpException.class,
                () -> alice.commit(one(m, "c", z).onTopOf("0".repeat(40))));
        play.scene(
                "right parent",
                () -> alice.commit(
                        one(m, "c", z).onTopOf(alice.info(m, Revision.MAIN).sha())),
                changed(AT_REVISION, "/alice/m ", "/alice/m/revision/main "));
        CommitOperation pr = add("pr.txt", "pr");
        play.scene("pull request of the owner", () -> alice.commit(upload(m, pr).asPullRequest(true)));
        play.scene("pull request of a reader", () -> bob.commit(upload(m, pr).asPullRequest(true)));
        CommitOperation more = add("pr.txt", "pr2");
        play.scene(
                "more for the pull request",
                () -> alice.commit(upload(m, more).to(new Revision("refs/pr/1"))),
                onTopOfTheHead());
        CommitOperation no = add("no.txt", "no");
        play.refused("reader", HubHttpException.class, () -> bob.commit(upload(m, no)));
        play.refused(
                "missing repository",
                RepositoryNotFoundException.class,
                () -> alice.commit(upload(repo("alice/absent"), no)));
        play.refused(
                "missing branch",
                RevisionNotFoundException.class,
                () -> alice.commit(upload(m, no).to(new Revision("nobranch"))));
        CommitOperation broken = add("README.md", "---\nlicense: [a\n---\n");
        play.refused("broken front matter", HubException.class, () -> alice.commit(upload(m, broken)));
        CommitRequest ignoring = one(m, "ignore", add(".gitignore", "*.log\n"), add("a.log", "1"), add("b.txt", "2"));
        play.scene("gitignore", () -> alice.commit(ignoring), onTopOfTheHead());
        play.refused("forbidden path", IllegalArgumentException.class, () -> add(".git/config", "x"));
        play.without("move", "there is no method for it");
        bench.hub().repo("alice/m").rename("alice/renamed");
        play.scene("download under the old name", () -> alice.file(m, Revision.MAIN, "b.txt"));
        play.scene("info under the old name", () -> alice.exists(m));
        play.without("settings", "there is no method for it");
        play.scene("delete", () -> {
            alice.deleteRepo(renamed, false);
            return renamed;
        });
        play.refused("delete again", RepositoryNotFoundException.class, () -> {
            alice.deleteRepo(renamed, false);
            return renamed;
        });
        play.end();
    }

    /** Arms faults and uploads a file that nobody has seen before. */
    private Play.Action upload(int seed, Fault... faults) {
        return () -> {
            for (Fault fault : faults) {
                bench.hub().fault(fault);
            }
            return alice.commit(upload(repo("alice/f"), add("m.safetensors", random(seed, 3_500_001))));
        };
    }

    @Test
    void trace10Faults() throws Exception {
        Repo f = repo("alice/f");
        Fault onPart = Fault.on("PUT", "/_s3/");
        Play play = new Play(bench.hub(), "10-upload-faults");
        play.scene("create", () -> alice.createRepo(f, null, false));
        play.scene(
                "503 of preupload, twice",
                upload(31, Fault.on("POST", "/preupload/").status(503).times(2)),
                onTopOfTheHead());
        play.scene(
                "429 of the batch",
                upload(32, Fault.on("POST", "/objects/batch").status(429).retryAfter(1)),
                onTopOfTheHead());
        play.scene(
                "500 of a part",
                upload(33, Fault.on("PUT", "/_s3/").query("partNumber=2").status(500)),
                onTopOfTheHead());
        play.scene("part cut off", upload(34, Fault.on("PUT", "/_s3/").refuse()), onTopOfTheHead());
        List<String> fromBatchOn = play.recorded("504 of the completion").stream()
                .filter(block -> !block.contains("/preupload/") && !block.contains("-> 504"))
                .toList();
        play.scene(
                "403 of a part",
                upload(35, onPart.status(403)),
                added("an address that has expired is asked for anew", fromBatchOn),
                onTopOfTheHead());
        play.scene(
                "504 of the completion",
                upload(36, Fault.on("POST", "/complete/").status(504)),
                onTopOfTheHead());
        play.scene(
                "500 of the verification",
                upload(37, Fault.on("POST", "/verify").status(500)),
                onTopOfTheHead());
        String commit = fromBatchOn.get(fromBatchOn.size() - 1);
        play.scene(
                "503 of the commit",
                upload(38, Fault.on("POST", "/commit/").status(503)),
                onTopOfTheHead(),
                added(
                        "the commits made since are looked at, and ours, which is not among them, is sent again",
                        "GET /api/models/alice/f/commits/main -> 200" + AS_ALICE,
                        commit.replace(
                                "\"description\":\"\",", "\"description\":\"\",\"parentCommit\":\"{commit}\",")));
        play.refused(
                "413 of the commit",
                HubHttpException.class,
                upload(39, Fault.on("POST", "/commit/").status(413)),
                onTopOfTheHead());
        play.refused(
                "422 of the batch",
                HubHttpException.class,
                upload(40, Fault.on("POST", "/objects/batch").status(422)));
        byte[] content = random(41, 1_500_000);
        play.scene("one piece", () -> alice.commit(upload(f, add("b.safetensors", content))), onTopOfTheHead());
        play.scene(
                "the same under another name",
                () -> alice.commit(upload(f, add("c.safetensors", content))),
                onTopOfTheHead());
        play.end();
    }
}
