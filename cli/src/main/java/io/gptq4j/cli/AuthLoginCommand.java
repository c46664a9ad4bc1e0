package io.gptq4j.cli;

import io.gptq4j.hub.HubClient;
import io.gptq4j.hub.config.HubConfig;
import io.gptq4j.hub.config.HubToken;
import io.gptq4j.hub.config.TokenStore;
import io.gptq4j.hub.repo.Identity;
import java.io.IOException;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/** {@code gptq4j auth login}: asks the Hub about a token, and stores it only if the Hub knows it. */
@Command(name = "login", description = "Checks an access token, stores it and makes it the active one.")
final class AuthLoginCommand implements Callable<Integer>, HubVerb {
    private final Console console;

    @Option(
            names = "--token",
            paramLabel = "TOKEN",
            description = "The token, hf_... (default: asks without showing it). Make one at"
                    + " https://huggingface.co/settings/tokens.")
    private @Nullable String token;

    /** Of hf's; here a login never asks whether there is one already. */
    @SuppressWarnings("UnusedVariable")
    @Option(names = "--force", hidden = true)
    private boolean force;

    @Option(names = "--add-to-git-credential", hidden = true)
    private boolean addToGitCredential;

    AuthLoginCommand(Console console) {
        this.console = console;
    }

    @Override
    public Integer call() throws IOException, InterruptedException {
        if (addToGitCredential) {
            throw new IllegalArgumentException("--add-to-git-credential is not supported, because gptq4j does not use"
                    + " git; leave it out, and give git the token with 'git credential approve' if you need it there");
        }
        HubConfig environment = HubOptions.environment(console).build();
        HubToken given = token();
        TokenStore.requireUsable(given);
        Identity identity;
        try (HubClient client = HubClient.builder()
                .config(HubOptions.environment(console).token(given).build())
                .build()) {
            identity = client.whoami();
        }
        TokenStore store = TokenStore.of(environment);
        String name = identity.tokenName() != null ? identity.tokenName() : "token of " + identity.name();
        store.save(name, given);
        store.activate(name);
        if (identity.tokenRole() != null) {
            console.note("The token is valid (permission: " + identity.tokenRole() + ").");
        }
        console.note("It has been saved as '" + name + "' in " + store.storedTokens() + ", and in " + store.tokenFile()
                + " as the active token.");
        console.note("Logged in as " + identity.name() + ".");
        AuthCommands.warnOfOtherToken(console, environment);
        return ExitCode.OK.number();
    }

    private HubToken token() throws InterruptedException {
        if (token != null) {
            return HubOptions.tokenOf(token);
        }
        if (!console.terminal().isThere()) {
            throw new IllegalArgumentException(
                    "There is no terminal to ask for the token on; use --token, or set HF_TOKEN and skip the login");
        }
        String typed = console.terminal().ask("Token (nothing is shown while you type): ", true);
        return new HubToken(typed == null ? "" : typed, "the terminal");
    }
}
