package io.gptq4j.cli;

import io.gptq4j.hub.HubClient;
import io.gptq4j.hub.config.HubConfig;
import io.gptq4j.hub.config.HubToken;
import io.gptq4j.hub.config.TokenStore;
import io.gptq4j.hub.error.AuthenticationException;
import io.gptq4j.hub.repo.Identity;
import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** {@code gptq4j auth}: the tokens of this machine, shared with {@code hf}. */
final class AuthCommands {
    private AuthCommands() {}

    static CommandLine commandLine(Console console) {
        return new CommandLine(new Auth())
                .addSubcommand(new AuthLoginCommand(console))
                .addSubcommand(new Logout(console))
                .addSubcommand(new Switch(console))
                .addSubcommand(new ListTokens(console))
                .addSubcommand(new WhoAmI(console))
                .addSubcommand(new Token(console));
    }

    /** Says which token is in force if it is not the one that the command has just chosen. */
    static void warnOfOtherToken(Console console, HubConfig config) {
        try {
            config.token()
                    .filter(token -> !token.source().endsWith(config.tokenFile().toString()))
                    .ifPresent(token -> console.warn(
                            "The token from " + token.source() + " is still in force; it goes before the stored ones"));
        } catch (IllegalArgumentException broken) {
            console.warn(String.valueOf(broken.getMessage()));
        }
    }

    private static HubToken tokenInForce(HubConfig config) throws AuthenticationException {
        return config.token()
                .orElseThrow(
                        () -> new AuthenticationException("Not logged in; run 'gptq4j auth login', or set HF_TOKEN"));
    }

    @Command(
            name = "auth",
            synopsisSubcommandLabel = "COMMAND",
            description = "Manages access tokens; they are kept where hf keeps them.")
    private static final class Auth implements HubVerb {}

    @Command(name = "logout", description = "Forgets one stored token, or all of them.")
    private static final class Logout implements Callable<Integer>, HubVerb {
        private final Console console;

        @Option(names = "--token-name", paramLabel = "NAME", description = "The token to forget (default: all).")
        private @Nullable String name;

        Logout(Console console) {
            this.console = console;
        }

        @Override
        public Integer call() throws IOException {
            HubConfig config = HubOptions.environment(console).build();
            TokenStore store = TokenStore.of(config);
            if (name == null) {
                console.note(
                        store.clear()
                                ? "Logged out from all access tokens."
                                : "Not logged in; there was nothing to do.");
            } else if (store.remove(name)) {
                console.note("Logged out from access token '" + name + "'.");
            } else {
                throw new IllegalArgumentException("There is no token '" + name + "' in " + store.storedTokens()
                        + "; 'auth list' shows those that are there");
            }
            warnOfOtherToken(console, config);
            return ExitCode.OK.number();
        }
    }

    @Command(name = "switch", description = "Makes another stored token the active one.")
    private static final class Switch implements Callable<Integer>, HubVerb {
        private final Console console;

        @Option(names = "--token-name", paramLabel = "NAME", description = "The token (default: asks).")
        private @Nullable String name;

        Switch(Console console) {
            this.console = console;
        }

        @Override
        public Integer call() throws IOException, InterruptedException {
            HubConfig config = HubOptions.environment(console).build();
            TokenStore store = TokenStore.of(config);
            String chosen = name;
            if (chosen == null) {
                String names = String.join(", ", store.list().keySet());
                chosen = console.terminal().ask("Which token (" + names + ")? ", false);
                if (chosen == null || chosen.isBlank()) {
                    throw new IllegalArgumentException("Name the token with --token-name; stored are: " + names);
                }
            }
            store.activate(chosen.strip());
            console.note("The active token is now '" + chosen.strip() + "'.");
            warnOfOtherToken(console, config);
            return ExitCode.OK.number();
        }
    }

    @Command(name = "list", description = "Lists the stored tokens, masked; * marks the active one.")
    private static final class ListTokens implements Callable<Integer>, HubVerb {
        private final Console console;

        ListTokens(Console console) {
            this.console = console;
        }

        /** A token as it may be shown. */
        record Row(String name, String token, boolean active) {}

        @Override
        public Integer call() throws IOException {
            HubConfig config = HubOptions.environment(console).build();
            TokenStore store = TokenStore.of(config);
            Optional<String> active = store.activeName();
            List<Row> rows = new ArrayList<>();
            store.list()
                    .forEach((name, token) -> rows.add(new Row(
                            name, token.masked(), active.filter(name::equals).isPresent())));
            console.result(rows, () -> text(rows), rows.stream().map(Row::name).toList());
            warnOfOtherToken(console, config);
            return ExitCode.OK.number();
        }

        private static String text(List<Row> rows) {
            Table table = new Table("", "name", "token");
            rows.forEach(row -> table.row(row.active ? "*" : "", row.name, row.token));
            return rows.isEmpty() ? "No stored access tokens." : table.toString();
        }
    }

    @Command(name = "whoami", description = "Asks the Hub whose token is in force.")
    private static final class WhoAmI implements Callable<Integer>, HubVerb {
        private final Console console;

        @Mixin
        private final HubOptions hub = new HubOptions();

        WhoAmI(Console console) {
            this.console = console;
        }

        @Override
        public Integer call() throws IOException {
            try (HubClient client = hub.open(console)) {
                tokenInForce(client.config());
                Identity identity = client.whoami();
                Map<String, String> facts = new LinkedHashMap<>();
                facts.put("user", identity.name());
                if (!identity.organisations().isEmpty()) {
                    facts.put("orgs", String.join(",", identity.organisations()));
                }
                facts.put("endpoint", client.config().endpoint());
                console.done("Logged in", facts);
            }
            return ExitCode.OK.number();
        }
    }

    @Command(name = "token", description = "Prints the token in force, for scripts.")
    private static final class Token implements Callable<Integer>, HubVerb {
        private final Console console;

        Token(Console console) {
            this.console = console;
        }

        @Override
        public Integer call() throws IOException {
            HubToken token = tokenInForce(HubOptions.environment(console).build());
            console.result(Map.of("token", token.value()), token::value);
            console.note("This is the token from " + token.source() + "; 'gptq4j auth whoami' tells whose it is.");
            return ExitCode.OK.number();
        }
    }
}
