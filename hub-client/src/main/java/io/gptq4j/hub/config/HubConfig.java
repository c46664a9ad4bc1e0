package io.gptq4j.hub.config;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.function.Supplier;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import okhttp3.HttpUrl;
import org.jspecify.annotations.Nullable;

/**
 * Where the Hub is, who we are there, and where things are kept; unchangeable and safe for concurrent use. A token of the
 * environment is looked up when it is first asked for, so that one that is broken stops only those who need it.
 *
 * <p>The names, defaults and priorities of the environment variables are huggingface_hub's, so that both work on the same
 * cache with the same token. Proxies and certificates are those that Python's HTTP libraries and curl read.
 */
public final class HubConfig {
    /** Where the Hub is unless HF_ENDPOINT says otherwise. */
    public static final String DEFAULT_ENDPOINT = "https://huggingface.co";

    private static final Set<String> TRUE = Set.of("1", "ON", "YES", "TRUE");
    private static final Pattern ENDPOINT = Pattern.compile("https?://[^/?#@\\s]+(/[^?#\\s]*)?");
    private static final Pattern VARIABLE = Pattern.compile("\\$(?:(\\w+)|\\{(\\w+)})");

    private final String endpoint;
    private final Path home;
    private final Path cache;
    private final Path tokenFile;
    private final Supplier<@Nullable HubToken> tokenSource;
    private final boolean offline;
    private final boolean symlinks;
    private final Duration metadataTimeout;
    private final Duration downloadTimeout;
    private final @Nullable Path caBundle;
    private final Map<String, String> proxies;
    private final String userAgent;

    private boolean tokenKnown;
    private @Nullable HubToken token;

    private HubConfig(Builder builder) {
        endpoint = builder.endpoint;
        home = builder.home;
        cache = builder.cache;
        tokenFile = builder.tokenFile;
        tokenSource = builder.tokenSource;
        offline = builder.offline;
        symlinks = builder.symlinks;
        metadataTimeout = builder.metadataTimeout;
        downloadTimeout = builder.downloadTimeout;
        caBundle = builder.caBundle;
        proxies = Map.copyOf(builder.proxies);
        userAgent = builder.userAgent;
    }

    /**
     * The settings of this process.
     *
     * @throws IllegalArgumentException if a variable's value makes no sense; the message names the variable
     */
    public static HubConfig ofProcess() {
        return fromEnvironment(System.getenv(), Path.of(System.getProperty("user.home", "")))
                .build();
    }

    /**
     * Settings from environment variables, to be adjusted further.
     *
     * @param environment the variables
     * @param userHome what {@code ~} stands for
     * @throws IllegalArgumentException if a variable's value makes no sense; the message names the variable
     */
    public static Builder fromEnvironment(Map<String, String> environment, Path userHome) {
        return new Builder(new Environment(environment, userHome));
    }

    /** Address of the Hub without a slash at the end. */
    public String endpoint() {
        return endpoint;
    }

    /** HF_HOME. */
    public Path home() {
        return home;
    }

    /** HF_HUB_CACHE: the folder of {@code models--ns--name} and its like. */
    public Path cache() {
        return cache;
    }

    /** The file of the active token; {@code stored_tokens} lies beside it. */
    public Path tokenFile() {
        return tokenFile;
    }

    /**
     * The token that goes with every request to the Hub; the same for as long as these settings live.
     *
     * @throws IllegalArgumentException if what the environment has for one is no token; the message names the place
     * @throws UncheckedIOException if the token file cannot be read
     */
    public synchronized Optional<HubToken> token() {
        if (!tokenKnown) {
            token = tokenSource.get();
            tokenKnown = true;
        }
        return Optional.ofNullable(token);
    }

    /** Whether no request may be sent. */
    public boolean isOffline() {
        return offline;
    }

    /** Whether snapshots may be made of links, if the file system can. */
    public boolean usesSymlinks() {
        return symlinks;
    }

    /** How long to wait for the metadata of a file while there may be a cached one. */
    public Duration metadataTimeout() {
        return metadataTimeout;
    }

    /** The longest silence within a download. */
    public Duration downloadTimeout() {
        return downloadTimeout;
    }

    /** A PEM file of certificates to trust besides the system's. */
    public Optional<Path> caBundle() {
        return Optional.ofNullable(caBundle);
    }

    /** The proxy variables that are set: lower-case names such as {@code https_proxy} and {@code no_proxy}. */
    public Map<String, String> proxies() {
        return proxies;
    }

    /** The header User-Agent. */
    public String userAgent() {
        return userAgent;
    }

    /** Changes settings before they are fixed. Belongs to one thread. */
    public static final class Builder {
        private String endpoint;
        private Path home;
        private Path cache;
        private Path tokenFile;
        private Supplier<@Nullable HubToken> tokenSource;
        private boolean offline;
        private boolean symlinks;
        private Duration metadataTimeout;
        private Duration downloadTimeout;
        private @Nullable Path caBundle;
        private final Map<String, String> proxies = new LinkedHashMap<>();
        private String userAgent;

        private Builder(Environment env) {
            endpoint = checkedEndpoint(env.text("HF_ENDPOINT").orElse(DEFAULT_ENDPOINT), "HF_ENDPOINT");
            home = env.path("HF_HOME")
                    .orElseGet(() -> env.path("XDG_CACHE_HOME")
                            .orElse(env.userHome().resolve(".cache"))
                            .resolve("huggingface"));
            cache = env.path("HF_HUB_CACHE")
                    .or(() -> env.path("HUGGINGFACE_HUB_CACHE"))
                    .orElse(home.resolve("hub"));
            tokenFile = env.path("HF_TOKEN_PATH").orElse(home.resolve("token"));
            Path file = tokenFile;
            tokenSource = env.flag("HF_HUB_DISABLE_IMPLICIT_TOKEN") ? () -> null : () -> storedToken(env, file);
            offline = env.flag("HF_HUB_OFFLINE") || env.flag("TRANSFORMERS_OFFLINE");
            symlinks = !env.flag("HF_HUB_DISABLE_SYMLINKS");
            metadataTimeout = env.seconds("HF_HUB_ETAG_TIMEOUT", 10);
            downloadTimeout = env.seconds("HF_HUB_DOWNLOAD_TIMEOUT", 10);
            caBundle = env.path("SSL_CERT_FILE")
                    .or(() -> env.path("REQUESTS_CA_BUNDLE"))
                    .or(() -> env.path("CURL_CA_BUNDLE"))
                    .orElse(null);
            for (String name : new String[] {"http_proxy", "https_proxy", "all_proxy", "no_proxy"}) {
                // As curl does: the lower-case name wins.
                env.text(name)
                        .or(() -> env.text(name.toUpperCase(Locale.ROOT)))
                        .ifPresent(value -> proxies.put(name, value));
            }
            userAgent = "gptq4j; java/" + System.getProperty("java.version", "unknown")
                    + env.text("HF_HUB_USER_AGENT_ORIGIN")
                            .map(origin -> "; origin/" + origin.replaceAll("[^!-~]", ""))
                            .orElse("");
        }

        /** Another Hub. */
        public Builder endpoint(String endpoint) {
            this.endpoint = checkedEndpoint(endpoint, "the endpoint");
            return this;
        }

        /** Another cache. */
        public Builder cache(Path cache) {
            this.cache = cache;
            return this;
        }

        /** Another token, or none. */
        public Builder token(@Nullable HubToken token) {
            tokenSource = () -> token;
            return this;
        }

        /** Forbids requests, or allows them. */
        public Builder offline(boolean offline) {
            this.offline = offline;
            return this;
        }

        /** Certificates to trust besides the system's. */
        public Builder caBundle(Path caBundle) {
            this.caBundle = caBundle;
            return this;
        }

        /** What the header User-Agent begins with, such as {@code gptq4j/0.1.0}. */
        public Builder product(String product) {
            userAgent = userAgent.replaceFirst("^[^;]*", Matcher.quoteReplacement(product));
            return this;
        }

        /** The longest silence within a download. */
        public Builder downloadTimeout(Duration downloadTimeout) {
            this.downloadTimeout = downloadTimeout;
            return this;
        }

        /** Fixes the settings. */
        public HubConfig build() {
            return new HubConfig(this);
        }
    }

    private static String checkedEndpoint(String text, String source) {
        String endpoint = text.strip().replaceAll("/+$", "");
        // Not java.net.URI, which knows no host with an underscore; containers are called so.
        if (!ENDPOINT.matcher(endpoint).matches() || HttpUrl.parse(endpoint) == null) {
            // A password is nobody's business but the user's, so what may be one is not repeated.
            throw new IllegalArgumentException(source + " is '" + endpoint.replaceFirst("^(.*//)?.*@", "$1")
                    + "'; expected an address such as " + DEFAULT_ENDPOINT + ", without a user and a query");
        }
        return endpoint;
    }

    private static @Nullable HubToken storedToken(Environment env, Path tokenFile) {
        for (String variable : new String[] {"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"}) {
            Optional<String> value = env.text(variable);
            if (value.isPresent()) {
                return new HubToken(value.get(), "the environment variable " + variable);
            }
        }
        try {
            String content =
                    Files.isRegularFile(tokenFile) ? Files.readString(tokenFile).strip() : "";
            return content.isEmpty() ? null : new HubToken(content, "the file " + tokenFile);
        } catch (IOException e) {
            throw new UncheckedIOException(new IOException("The token file " + tokenFile + " cannot be read: " + e, e));
        }
    }

    /** Environment variables with the meaning that huggingface_hub gives to their texts. */
    private record Environment(Map<String, String> variables, Path userHome) {
        Optional<String> text(String name) {
            return Optional.ofNullable(variables.get(name)).map(String::strip).filter(value -> !value.isEmpty());
        }

        boolean flag(String name) {
            return text(name)
                    .map(value -> TRUE.contains(value.toUpperCase(Locale.ROOT)))
                    .orElse(false);
        }

        Optional<Path> path(String name) {
            return text(name).map(value -> {
                String expanded = VARIABLE.matcher(value).replaceAll(variable -> {
                    String inner = variable.group(1) != null ? variable.group(1) : variable.group(2);
                    return Matcher.quoteReplacement(variables.getOrDefault(inner, variable.group()));
                });
                return expanded.equals("~") || expanded.startsWith("~/")
                        ? userHome.resolve(expanded.substring(Math.min(2, expanded.length())))
                        : Path.of(expanded);
            });
        }

        Duration seconds(String name, int otherwise) {
            Optional<String> text = text(name);
            try {
                double seconds = text.map(Double::parseDouble).orElse((double) otherwise);
                if (seconds > 0 && seconds < Integer.MAX_VALUE) {
                    return Duration.ofMillis((long) Math.ceil(1000 * seconds));
                }
            } catch (NumberFormatException refused) {
                // said below, like a number that is no time
            }
            throw new IllegalArgumentException(name + " is '" + text.orElse("") + "'; expected a number of seconds");
        }
    }
}
