package io.gptq4j.cli;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.PropertyNamingStrategies;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.gptq4j.hub.HubClient;
import io.gptq4j.hub.repo.HubUri;
import io.gptq4j.hub.repo.RepoInfo;
import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code gptq4j info}: what the Hub tells about a repository. */
@Command(name = "info", description = "Says what the Hub tells about a repository.")
final class InfoCommand implements Callable<Integer>, HubVerb {
    private static final PropertyNamingStrategies.NamingBase SNAKE_CASE =
            (PropertyNamingStrategies.NamingBase) PropertyNamingStrategies.SNAKE_CASE;

    private final Console console;

    @Parameters(
            paramLabel = "REPO",
            description = "namespace/name, or hf://[datasets/|spaces/]namespace/name[@revision].")
    private String repo = "";

    @Option(names = "--revision", paramLabel = "REVISION", description = "A branch, tag or commit (default: main).")
    private @Nullable String revision;

    @Mixin
    private final RepoOptions options = new RepoOptions();

    @Mixin
    private final HubOptions hub = new HubOptions();

    InfoCommand(Console console) {
        this.console = console;
    }

    @Override
    public Integer call() throws IOException {
        HubUri uri = options.parse(repo);
        try (HubClient client = hub.open(console)) {
            RepoInfo info = client.info(uri.repo(), RepoOptions.revision(revision, uri));
            console.result(snakeCase(info.json()), () -> text(info), List.of(info.id()));
        }
        return ExitCode.OK.number();
    }

    /** The Hub's own object; its outer keys as Python's classes, and so hf's output, spell them. */
    private static JsonNode snakeCase(String json) throws IOException {
        JsonMapper mapper = new JsonMapper();
        ObjectNode renamed = mapper.createObjectNode();
        mapper.readTree(json).properties().forEach(field -> {
            if (!field.getKey().equals("_id") && !field.getKey().equals("modelId")) {
                renamed.set(SNAKE_CASE.translate(field.getKey()).replace('-', '_'), field.getValue());
            }
        });
        return renamed;
    }

    private static String text(RepoInfo info) {
        Map<String, @Nullable String> facts = new LinkedHashMap<>();
        facts.put("id", info.id());
        facts.put("commit", info.sha());
        facts.put("modified", info.lastModified());
        facts.put(
                "access",
                (info.isPrivate() ? "private" : "public")
                        + (info.gated() == null ? "" : ", gated (" + info.gated() + ")")
                        + (info.disabled() ? ", disabled" : ""));
        facts.put("library", info.libraryName());
        facts.put("task", info.pipelineTag());
        facts.put("downloads", String.format(Locale.ROOT, "%,d in 30 days", info.downloads()));
        facts.put("likes", String.format(Locale.ROOT, "%,d", info.likes()));
        facts.put("tags", info.tags().isEmpty() ? null : String.join(", ", info.tags()));
        facts.put(
                "files",
                info.files().isEmpty() ? null : String.valueOf(info.files().size()));
        return facts.entrySet().stream()
                .filter(fact -> fact.getValue() != null)
                .map(fact -> String.format(
                        Locale.ROOT, "%-11s%s", fact.getKey(), Console.printable(String.valueOf(fact.getValue()))))
                .collect(Collectors.joining(System.lineSeparator()));
    }
}
