package io.gptq4j.it;

import static io.gptq4j.it.HubBench.random;
import static io.gptq4j.it.Play.changed;
import static io.gptq4j.it.Play.dropped;
import static io.gptq4j.it.Play.first;
import static io.gptq4j.it.Play.onTopOfTheHead;
import static io.gptq4j.it.Play.onceOf;
import static io.gptq4j.it.Play.treeTellsWhatHeadsAskFor;
import static org.assertj.core.api.Assertions.assertThat;

import io.gptq4j.it.hub.FakeHub;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;

/** What the commands of the original say, and what ours say; see src/test/resources/traces. */
@Execution(ExecutionMode.CONCURRENT) // beside the other classes that start Java again and again
class TraceIT extends HubBenchFixture {
    private static final Play.Edit NO_TYPE =
            changed("a model is what there is without a type", ",\"type\":\"model\"", "");

    private Play play;

    @Override
    FakeHub.Builder settings() {
        return FakeHub.inParts();
    }

    @BeforeEach
    void openPlay() throws Exception {
        play = new Play(bench.hub(), "12-cli");
    }

    private static Play.Edit[] and(Play.Edit... edits) {
        List<Play.Edit> all = new ArrayList<>();
        all.add(dropped("nobody is asked which agents there are", "GET /api/agent-harnesses"));
        all.addAll(List.of(edits));
        return all.toArray(Play.Edit[]::new);
    }

    private static Play.Action run(Cli cli, int exitCode, String command) {
        return () -> {
            Cli.Result result = cli.run(command.split(" "));
            assertThat(result.exitCode()).as(result.err()).isEqualTo(exitCode);
            return result;
        };
    }

    /** A command with the token that the login has stored. */
    private void scene(String title, int exitCode, String command, Play.Edit... edits) throws Exception {
        play.scene(title, run(bench.anonymous(), exitCode, command), and(edits));
    }

    @Test
    void trace12Commands() throws Exception {
        scene("version", 0, "--version");
        scene("auth whoami, no token", 1, "auth whoami");
        play.scene("auth whoami", run(bench.alice(), 0, "auth whoami"), and());
        scene("auth login", 0, "auth login --token hf_fakewrite");
        scene("auth login, token nobody knows", 1, "auth login --token hf_garbage");
        play.parallel(
                "download", run(bench.anonymous(), 0, "download acme/tiny-llama"), and(treeTellsWhatHeadsAskFor()));
        scene("download a file", 0, "download acme/tiny-llama config.json");
        scene(
                "download, only what would be done",
                0,
                "download acme/tiny-llama --include *.json --exclude tok* --local-dir o --dry-run",
                dropped("the listing tells what this asks for", "HEAD "));
        // The dry run of the original keeps no listing, and neither does ours.
        scene(
                "download a folder",
                0,
                "download acme/tiny-llama sub/ --local-dir o",
                dropped("the listing tells what this asks for", "HEAD "));
        scene("download what is missing", 1, "download acme/nothing");
        scene("download a missing file", 1, "download acme/tiny-llama nope.txt");
        scene("download a missing revision", 1, "download acme/tiny-llama --revision nope");
        scene("download a gated file", 0, "download acme/gated-llama config.json");
        play.scene("download offline", run(bench.anonymous().with("HF_HUB_OFFLINE", "1"), 1, "download acme/many"));
        repositories();
        scene(
                "info",
                0,
                "info acme/tiny-llama",
                changed("always at a revision", "/acme/tiny-llama ", "/acme/tiny-llama/revision/main "));
        scene("cache verify", 0, "cache verify acme/tiny-llama");
        play.end();
    }

    private void repositories() throws Exception {
        HubBench.write(
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
                        "a\n"));
        scene("repo create", 0, "repo create alice/cli-repo --private", NO_TYPE);
        scene("repo create again", 1, "repo create alice/cli-repo", NO_TYPE);
        scene("repo create again, well", 0, "repo create alice/cli-repo --exist-ok", NO_TYPE);
        Play.Edit ours = changed("the message names the program", "using huggingface_hub", "with gptq4j");
        Play.Edit oursToo = changed("the message names the program", "with huggingface_hub", "with gptq4j");
        scene(
                "upload a folder",
                0,
                "upload alice/cli-repo up .",
                NO_TYPE,
                onceOf("the front matter is checked once", "POST /api/validate-yaml"),
                first("a refusal leaves no repository behind", "POST /api/validate-yaml"),
                ours,
                onTopOfTheHead());
        scene(
                "upload a file",
                0,
                "upload alice/cli-repo up/config.json cfg/config.json --commit-message m",
                NO_TYPE,
                onTopOfTheHead());
        scene(
                "upload to a new branch",
                0,
                "upload alice/cli-repo up/config.json x.json --revision newbranch",
                NO_TYPE,
                oursToo,
                onTopOfTheHead());
        scene("upload what is missing", 1, "upload alice/cli-repo nodir");
        scene(
                "upload as a pull request",
                0,
                "upload alice/cli-repo up/config.json y.json --create-pr -q",
                NO_TYPE,
                oursToo);
        scene("repo tag create", 0, "repo tag create alice/cli-repo v1");
        scene(
                "repo tag list",
                0,
                "repo tag list alice/cli-repo",
                changed("one method gets all refs", "/refs ", "/refs?include_prs=1 "));
        scene("repo branch create", 0, "repo branch create alice/cli-repo b1");
        scene("repo delete, not sure", 1, "repo delete alice/cli-repo");
        scene("repo delete", 0, "repo delete alice/cli-repo --yes", NO_TYPE);
    }
}
