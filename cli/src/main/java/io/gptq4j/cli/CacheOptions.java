package io.gptq4j.cli;

import io.gptq4j.hub.config.HubConfig;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** Which cache a command works on. */
final class CacheOptions {
    @Option(
            names = "--cache-dir",
            paramLabel = "DIR",
            description = "Cache of the Hub's files (default: HF_HUB_CACHE, else HF_HOME/hub, else"
                    + " ~/.cache/huggingface/hub).")
    private @Nullable Path cache;

    /** Whether the user named one. */
    boolean isGiven() {
        return cache != null;
    }

    /** Puts the cache into the settings. */
    HubConfig.Builder apply(HubConfig.Builder settings) {
        return cache == null ? settings : settings.cache(cache);
    }
}
