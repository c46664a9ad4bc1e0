package io.gptq4j.cli;

import io.gptq4j.hub.HubClient;
import io.gptq4j.hub.config.HubConfig;
import io.gptq4j.hub.config.HubToken;
import java.io.IOException;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** How a command reaches the Hub: the settings of the environment, with the token of the command line if there is one. */
final class HubOptions {
    @Option(
            names = "--token",
            paramLabel = "TOKEN",
            description = "Access token, hf_... (default: HF_TOKEN, else the one of 'auth login').")
    private @Nullable String token;

    /**
     * The settings, to be adjusted further.
     *
     * @throws IllegalArgumentException if a variable or the token makes no sense
     */
    HubConfig.Builder settings(Console console) throws IOException {
        HubConfig.Builder settings = environment(console);
        return token == null ? settings : settings.token(tokenOf(token));
    }

    /** A client with these settings and no more. */
    HubClient open(Console console) throws IOException {
        return HubClient.builder().config(settings(console).build()).build();
    }

    /** The settings of a command without options of its own. */
    static HubConfig.Builder environment(Console console) throws IOException {
        return HubConfig.fromEnvironment(console.environment(), Path.of(System.getProperty("user.home", "")))
                .product("gptq4j/" + Version.number());
    }

    /** The token of the option. */
    static HubToken tokenOf(String text) {
        return new HubToken(text, "the option --token");
    }
}
