package io.gptq4j.hub;

import io.gptq4j.hub.config.HubConfig;
import io.gptq4j.hub.internal.download.Tuning;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;

/**
 * Makes clients for a test: with settings from variables that the test gives, with everything below one folder, and with a
 * clock that only notes how long it was asked to wait. Closes them in the end.
 */
final class Desk implements AutoCloseable {
    private final Map<String, String> variables = new HashMap<>();
    private final List<Duration> waits = new CopyOnWriteArrayList<>();
    private final List<HubClient> clients = new ArrayList<>();
    private final Path home;
    private Tuning tuning = Tuning.DEFAULT;

    Desk(Path home, String endpoint) {
        this.home = home;
        with("HF_HOME", home.toString()).with("HF_ENDPOINT", endpoint);
    }

    /** Sets one more environment variable. */
    Desk with(String variable, String value) {
        variables.put(variable, value);
        return this;
    }

    /** Sets a token. */
    Desk token(String token) {
        return with("HF_TOKEN", token);
    }

    /** Sets how large files are fetched. */
    Desk tuning(Tuning tuning) {
        this.tuning = tuning;
        return this;
    }

    /** A client with the settings so far; each call gives another, as another process would have it. */
    HubClient client() throws IOException {
        return client(HubClient.builder());
    }

    /** A client of a builder that has, say, a listener. */
    HubClient client(HubClient.Builder builder) throws IOException {
        HubClient client =
                builder.config(config()).waiter(waits::add).tuning(tuning).build();
        clients.add(client);
        return client;
    }

    HubConfig config() {
        return HubConfig.fromEnvironment(variables, home).build();
    }

    /** How long clients would have slept, in order. */
    List<Duration> waits() {
        return List.copyOf(waits);
    }

    Path home() {
        return home;
    }

    /** The folder of one repository in the cache, such as {@code models--ns--name}. */
    Path cached(String repoFolder) {
        return home.resolve("hub").resolve(repoFolder);
    }

    @Override
    public void close() {
        clients.forEach(HubClient::close);
    }
}
