package io.gptq4j.cli;

import io.gptq4j.hub.HubClient;
import io.gptq4j.hub.repo.Repo;
import io.gptq4j.hub.repo.RepoRefs;
import io.gptq4j.hub.repo.RepoType;
import io.gptq4j.hub.repo.Revision;
import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** {@code gptq4j repo}: repositories, branches and tags on the Hub. */
final class RepoCommands {
    private RepoCommands() {}

    static CommandLine commandLine(Console console) {
        return new CommandLine(new Group())
                .addSubcommand(new Create(console))
                .addSubcommand(new Delete(console))
                .addSubcommand(new CommandLine(new Branch())
                        .addSubcommand(new BranchCreate(console))
                        .addSubcommand(new BranchDelete(console)))
                .addSubcommand(new CommandLine(new Tag())
                        .addSubcommand(new TagCreate(console))
                        .addSubcommand(new TagDelete(console))
                        .addSubcommand(new TagList(console)));
    }

    @Command(
            name = "repo",
            aliases = "repos",
            synopsisSubcommandLabel = "COMMAND",
            description = "Makes and removes repositories, branches and tags on the Hub.")
    private static final class Group implements HubVerb {}

    @Command(
            name = "branch",
            synopsisSubcommandLabel = "COMMAND",
            description = "Makes and removes branches of a repository.")
    private static final class Branch implements HubVerb {}

    @Command(
            name = "tag",
            synopsisSubcommandLabel = "COMMAND",
            description = "Makes, removes and lists tags of a repository.")
    private static final class Tag implements HubVerb {}

    /** What all of them have: a repository, and a client to work on it. */
    private abstract static class Verb implements Callable<Integer>, HubVerb {
        final Console console;

        @Parameters(index = "0", paramLabel = "REPO", description = "The repository: namespace/name.")
        private String repo = "";

        @Mixin
        private final RepoOptions options = new RepoOptions();

        @Mixin
        private final HubOptions hub = new HubOptions();

        Verb(Console console) {
            this.console = console;
        }

        @Override
        public Integer call() throws IOException, InterruptedException {
            Repo named = options.repo(repo);
            try (HubClient client = hub.open(console)) {
                run(client, named);
            }
            return ExitCode.OK.number();
        }

        abstract void run(HubClient client, Repo named) throws IOException, InterruptedException;

        /** Reports about a ref as {@code hf} does. */
        final void done(String sentence, String kind, String name, Repo named) {
            Map<String, String> facts = new LinkedHashMap<>();
            facts.put(kind, name);
            facts.put("repo_type", named.type().singular());
            facts.put("repo_id", named.id().toString());
            console.done(sentence, facts);
        }
    }

    @Command(name = "create", description = "Makes a repository.")
    private static final class Create extends Verb {
        @Option(names = "--private", description = "Only its owners see it (default: as the namespace says).")
        private boolean isPrivate;

        @Option(names = "--public", description = "Everybody sees it.")
        private boolean isPublic;

        @Option(names = "--exist-ok", description = "It is well if the repository is there already.")
        private boolean existOk;

        @Option(
                names = {"--space-sdk", "--space_sdk"},
                paramLabel = "SDK",
                description = "What a space runs: gradio, streamlit, docker or static; a space needs one.")
        private @Nullable SpaceSdk spaceSdk;

        /** As the Hub spells them, but for the case. */
        enum SpaceSdk {
            GRADIO,
            STREAMLIT,
            DOCKER,
            STATIC
        }

        Create(Console console) {
            super(console);
        }

        @Override
        void run(HubClient client, Repo named) throws IOException {
            if (isPrivate && isPublic) {
                throw new IllegalArgumentException("A repository cannot be both --private and --public");
            }
            if (named.type() == RepoType.SPACE && spaceSdk == null) {
                throw new IllegalArgumentException("A space needs --space-sdk: gradio, streamlit, docker or static");
            }
            if (named.type() != RepoType.SPACE && spaceSdk != null) {
                throw new IllegalArgumentException(
                        "--space-sdk is for spaces, but " + named + " is none; leave it out, or add --type space");
            }
            String sdk = spaceSdk == null ? null : spaceSdk.name().toLowerCase(Locale.ROOT);
            Boolean visibility = isPrivate ? Boolean.TRUE : isPublic ? Boolean.FALSE : null;
            String url = client.createRepo(named, sdk, visibility, existOk);
            Map<String, String> facts = new LinkedHashMap<>();
            facts.put("repo_id", RepoOptions.created(client, named, url).id().toString());
            facts.put("url", url);
            console.done("Repo created", facts);
        }
    }

    @Command(name = "delete", description = "Removes a repository for good.")
    private static final class Delete extends Verb {
        @Option(
                names = {"-y", "--yes"},
                description = "Do not ask.")
        private boolean yes;

        @Option(names = "--missing-ok", description = "It is well if there is no such repository.")
        private boolean missingOk;

        Delete(Console console) {
            super(console);
        }

        @Override
        void run(HubClient client, Repo named) throws IOException, InterruptedException {
            if (!yes) {
                console.confirm("You are about to permanently delete " + named + ".");
            }
            client.deleteRepo(named, missingOk);
            console.done("Repo deleted", Map.of("repo_id", named.id().toString()));
        }
    }

    @Command(name = "create", description = "Makes a branch.")
    private static final class BranchCreate extends Verb {
        @Parameters(index = "1", paramLabel = "BRANCH", description = "Its name.")
        private String branch = "";

        @Option(
                names = "--revision",
                paramLabel = "REVISION",
                description = "Where it begins: a branch, tag or commit (default: main).")
        private @Nullable String revision;

        @Option(names = "--exist-ok", description = "It is well if the branch is there already.")
        private boolean existOk;

        BranchCreate(Console console) {
            super(console);
        }

        @Override
        void run(HubClient client, Repo named) throws IOException {
            client.createBranch(named, branch, revision == null ? null : new Revision(revision), existOk);
            done("Branch created", "branch", branch, named);
        }
    }

    @Command(name = "delete", description = "Removes a branch.")
    private static final class BranchDelete extends Verb {
        @Parameters(index = "1", paramLabel = "BRANCH", description = "Its name.")
        private String branch = "";

        BranchDelete(Console console) {
            super(console);
        }

        @Override
        void run(HubClient client, Repo named) throws IOException {
            client.deleteBranch(named, branch);
            done("Branch deleted", "branch", branch, named);
        }
    }

    @Command(name = "create", description = "Makes a tag.")
    private static final class TagCreate extends Verb {
        @Parameters(index = "1", paramLabel = "TAG", description = "Its name.")
        private String tag = "";

        @Option(
                names = {"-m", "--message"},
                paramLabel = "TEXT",
                description = "What it is about.")
        private @Nullable String message;

        @Option(
                names = "--revision",
                paramLabel = "REVISION",
                defaultValue = "main",
                description = "What it marks: a branch, tag or commit (default: ${DEFAULT-VALUE}).")
        private String revision = "";

        @Option(names = "--exist-ok", description = "It is well if the tag is there already.")
        private boolean existOk;

        TagCreate(Console console) {
            super(console);
        }

        @Override
        void run(HubClient client, Repo named) throws IOException {
            client.createTag(named, tag, new Revision(revision), message, existOk);
            done("Tag created", "tag", tag, named);
        }
    }

    @Command(name = "delete", description = "Removes a tag.")
    private static final class TagDelete extends Verb {
        @Parameters(index = "1", paramLabel = "TAG", description = "Its name.")
        private String tag = "";

        @Option(
                names = {"-y", "--yes"},
                description = "Do not ask.")
        private boolean yes;

        TagDelete(Console console) {
            super(console);
        }

        @Override
        void run(HubClient client, Repo named) throws IOException, InterruptedException {
            if (!yes) {
                console.confirm("You are about to delete the tag '" + tag + "' of " + named + ".");
            }
            client.deleteTag(named, tag);
            done("Tag deleted", "tag", tag, named);
        }
    }

    @Command(name = "list", aliases = "ls", description = "Lists the tags.")
    private static final class TagList extends Verb {
        TagList(Console console) {
            super(console);
        }

        @Override
        void run(HubClient client, Repo named) throws IOException {
            List<RepoRefs.Ref> tags = client.refs(named).tags();
            console.result(
                    tags,
                    () -> text(tags),
                    tags.stream().map(RepoRefs.Ref::name).toList());
        }

        private static String text(List<RepoRefs.Ref> tags) {
            Table table = new Table("NAME", "TARGET_COMMIT", "REF");
            tags.forEach(tag -> table.row(tag.name(), tag.targetCommit(), tag.ref()));
            return tags.isEmpty() ? "No tags." : table.toString();
        }
    }
}
