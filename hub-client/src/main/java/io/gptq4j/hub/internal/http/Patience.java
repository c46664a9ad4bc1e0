package io.gptq4j.hub.internal.http;

import io.gptq4j.hub.config.HubConfig;
import java.time.Duration;

/** How long the other side may say nothing before a call counts as failed. There is no limit on the whole of a call. */
public enum Patience {
    /** Metadata of a file that may be in the cache. */
    METADATA,
    /** The content of a file. */
    CONTENT,
    /** The API, and storage that takes an upload. */
    API,
    /** A store putting the parts of a large file together, or the Hub making a commit. */
    COMPLETION;

    private static final Duration API_SILENCE = Duration.ofMinutes(1);
    private static final Duration COMPLETION_SILENCE = Duration.ofMinutes(5);

    Duration silence(HubConfig config) {
        return switch (this) {
            case METADATA -> config.metadataTimeout();
            case CONTENT -> config.downloadTimeout();
            case API -> API_SILENCE;
            case COMPLETION -> COMPLETION_SILENCE;
        };
    }
}
