package io.gptq4j.hub.internal.http;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import io.gptq4j.hub.config.HubConfig;
import io.gptq4j.hub.config.HubToken;
import io.gptq4j.hub.error.HubException;
import io.gptq4j.hub.error.OfflineException;
import java.io.Closeable;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.net.ProxySelector;
import java.net.SocketTimeoutException;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.time.Duration;
import java.util.EnumMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import java.util.function.Predicate;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManager;
import javax.net.ssl.X509TrustManager;
import okhttp3.Call;
import okhttp3.ConnectionPool;
import okhttp3.Dispatcher;
import okhttp3.EventListener;
import okhttp3.HttpUrl;
import okhttp3.OkHttpClient;
import okhttp3.Protocol;
import okhttp3.Request;
import okhttp3.Response;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Sends requests. Three things are done here and not by OkHttp:
 *
 * <ol>
 *   <li>Redirects, because the Hub's own carry metadata that a followed one hides, and because the token must go along to
 *       the Hub's routes and to nobody else.
 *   <li>Repetition, because a commit must never be sent twice by a library that means well.
 *   <li>The meaning of an answer, which takes headers, body and the token that was sent.
 * </ol>
 *
 * <p>Safe for concurrent use.
 */
public final class HubHttp implements Closeable {
    private static final Logger LOG = LoggerFactory.getLogger(HubHttp.class);
    private static final Duration CONNECT_TIMEOUT = Duration.ofSeconds(10);
    private static final int MOST_REDIRECTS = 20;
    private static final int MOST_IDLE = 32;
    /** A listing's page has some hundred kilobytes. */
    private static final long MOST_JSON = 64L << 20;

    private final HubConfig config;
    private final Endpoint endpoint;
    private final Retry retry;
    private final EnvProxySelector proxies;
    private final Dispatcher dispatcher = new Dispatcher();
    /** Calls whose answers are not read to the end; the dispatcher forgets them as soon as the headers are there. */
    private final Set<Call> open = ConcurrentHashMap.newKeySet();

    private final Map<Patience, OkHttpClient> clients = new EnumMap<>(Patience.class);
    private final Set<String> warnedTopics = ConcurrentHashMap.newKeySet();

    /**
     * With the settings' proxies and certificates.
     *
     * @throws IOException if the certificates cannot be read
     */
    public HubHttp(HubConfig config, Waiter waiter) throws IOException {
        this.config = config;
        endpoint = new Endpoint(config.endpoint());
        retry = new Retry(waiter);
        proxies = new EnvProxySelector(config.proxies(), ProxySelector.getDefault());
        OkHttpClient.Builder builder = new OkHttpClient.Builder()
                .dispatcher(dispatcher)
                .eventListener(new EventListener() {
                    @Override
                    public void callStart(Call call) {
                        open.add(call);
                    }

                    @Override
                    public void callEnd(Call call) {
                        open.remove(call);
                    }

                    @Override
                    public void callFailed(Call call, IOException failure) {
                        open.remove(call);
                    }
                })
                .connectionPool(new ConnectionPool(MOST_IDLE, 5, TimeUnit.MINUTES))
                .socketFactory(new BufferedSockets())
                .connectTimeout(CONNECT_TIMEOUT)
                .followRedirects(false)
                .followSslRedirects(false)
                .retryOnConnectionFailure(false)
                .proxySelector(proxies)
                .proxyAuthenticator((route, response) -> {
                    String credentials = route == null
                            ? null
                            : proxies.credentials(route.proxy().address());
                    boolean refused = response.request().header("Proxy-Authorization") != null;
                    return credentials == null || refused
                            ? null
                            : response.request()
                                    .newBuilder()
                                    .header("Proxy-Authorization", credentials)
                                    .build();
                });
        Path bundle = config.caBundle().orElse(null);
        if (bundle != null) {
            trust(builder, bundle);
        }
        OkHttpClient client = builder.build();
        for (Patience patience : Patience.values()) {
            Duration silence = patience.silence(config);
            OkHttpClient.Builder patient =
                    client.newBuilder().readTimeout(silence).writeTimeout(silence);
            if (patience == Patience.CONTENT) {
                // HTTP/2 would send parallel ranges over one connection, which gains nothing.
                patient.protocols(List.of(Protocol.HTTP_1_1));
            }
            clients.put(patience, patient.build());
        }
    }

    private static void trust(OkHttpClient.Builder builder, Path bundle) throws IOException {
        X509TrustManager manager = Certificates.with(bundle);
        try {
            SSLContext context = SSLContext.getInstance("TLS");
            context.init(null, new TrustManager[] {manager}, null);
            builder.sslSocketFactory(context.getSocketFactory(), manager);
        } catch (GeneralSecurityException e) {
            throw new IOException("Java cannot use the certificates in " + bundle + ": " + e.getMessage(), e);
        }
    }

    /** The settings. */
    public HubConfig config() {
        return config;
    }

    /** The Hub's addresses. */
    public Endpoint endpoint() {
        return endpoint;
    }

    /** The rules for trying again. */
    public Retry retry() {
        return retry;
    }

    /** Sends once, following all redirects; gives a success, to be closed by the caller. */
    public Response call(HubRequest request) throws IOException {
        return accept(request, follow(request, redirect -> true));
    }

    /** As {@link #call}, until it succeeds or has failed too often; for what may be done twice. */
    public Response callPatiently(HubRequest request) throws IOException {
        return retry.run(() -> call(request));
    }

    /** The JSON that {@link #callPatiently} gives, whole. */
    public JsonNode json(HubRequest request) throws IOException {
        return retry.run(() -> {
            try (Response response = call(request)) {
                return json(request, response);
            }
        });
    }

    /** The JSON in an answer. */
    public static JsonNode json(HubRequest request, Response response) throws IOException {
        String text;
        try {
            if (response.body().source().request(MOST_JSON)) {
                throw new HubException("Cannot " + request.action() + ": the answer of " + request.shownUrl()
                        + " is longer than " + MOST_JSON + " bytes");
            }
            text = response.body().string();
        } catch (IOException broken) {
            throw Failures.of(request, broken);
        }
        try {
            return Json.read(text);
        } catch (JsonProcessingException e) {
            throw new HubException(
                    "Cannot " + request.action() + ": the answer of " + request.shownUrl() + " is not JSON ("
                            + e.getOriginalMessage() + "); is this the address of a Hub?",
                    e);
        }
    }

    /**
     * Sends once and follows redirects as long as {@code follows} says so; what comes in the end is given as it is, success
     * or not, to be closed by the caller.
     */
    public Response follow(HubRequest request, Predicate<Response> follows) throws IOException {
        HubRequest current = request;
        for (int hops = 0; hops <= MOST_REDIRECTS; hops++) {
            Response response = send(current);
            String location = response.header("Location");
            if (!isRedirect(response.code()) || location == null || !follows.test(response)) {
                return response;
            }
            HttpUrl target = current.url().resolve(location);
            response.close();
            if (target == null) {
                throw new HubException("Cannot " + request.action() + ": " + current.shownUrl()
                        + " redirects to something that is no web address");
            }
            HttpUrl next = endpoint.rewritten(target);
            if (next.equals(current.url())) {
                next = target; // a mirror that sends us to the Hub itself means it
            }
            // A store that asked for no token is not given one because it redirects back.
            boolean withToken = current.withToken() && endpoint.isHub(next);
            current = current.at(next, withToken);
        }
        throw new HubException("Cannot " + request.action() + ": more than " + MOST_REDIRECTS + " redirects from "
                + request.shownUrl());
    }

    /** Gives a success back, and throws what anything else means. */
    public Response accept(HubRequest request, Response response) throws IOException {
        if (response.isSuccessful()) {
            return response;
        }
        try (response) {
            HttpUrl url = response.request().url();
            HubToken sent = response.request().header("Authorization") == null
                    ? null
                    : config.token().orElse(null);
            throw Failures.of(request.at(url, request.withToken()), response, sent);
        }
    }

    /** What a connection means that broke while a body was read. */
    public static HubException broken(HubRequest request, IOException failure) {
        return Failures.of(request, failure);
    }

    /** Whether a status is a redirect. */
    public static boolean isRedirect(int status) {
        return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
    }

    /** Breaks all calls off; for the end of an interrupted command. */
    public void cancelAll() {
        open.forEach(Call::cancel);
    }

    @Override
    public void close() {
        OkHttpClient client = clients.values().iterator().next();
        dispatcher.executorService().shutdown();
        client.connectionPool().evictAll();
    }

    private Response send(HubRequest request) throws IOException {
        if (config.isOffline()) {
            throw new OfflineException(request.action());
        }
        Request.Builder builder = new Request.Builder()
                .url(request.url())
                .headers(request.headers())
                .header("User-Agent", config.userAgent())
                .method(request.method(), request.body());
        HubToken token = config.token().orElse(null);
        if (token != null && request.withToken() && endpoint.mayHaveToken(request.url())) {
            builder.header("Authorization", "Bearer " + token.value());
        }
        String login = request.url().isHttps()
                ? null
                : proxies.credentials(request.url().uri());
        if (login != null) {
            // At once, not when the proxy asks for it: a commit is not sent a second time to find out.
            builder.header("Proxy-Authorization", login);
        }
        try {
            Response response =
                    client(request.patience()).newCall(builder.build()).execute();
            LOG.debug("{} {} -> {}", request.method(), request.shownUrl(), response.code());
            warn(response);
            return response;
        } catch (InterruptedIOException interrupted) {
            if (interrupted instanceof SocketTimeoutException
                    || !Thread.currentThread().isInterrupted()) {
                throw Failures.of(request, interrupted);
            }
            throw interrupted;
        } catch (IOException e) {
            LOG.debug("{} {} -> {}", request.method(), request.shownUrl(), e.toString());
            throw Failures.of(request, e);
        }
    }

    private OkHttpClient client(Patience patience) {
        OkHttpClient client = clients.get(patience);
        if (client == null) {
            throw new IllegalStateException("No client for " + patience);
        }
        return client;
    }

    /** {@code X-HF-Warning: topic; message}: each topic once. */
    private void warn(Response response) {
        for (String warning : response.headers("X-HF-Warning")) {
            int end = warning.indexOf(';');
            String topic = end < 0 ? "" : warning.substring(0, end).strip().toLowerCase(Locale.ROOT);
            if (warnedTopics.add(topic)) {
                LOG.warn("The Hub says: {}", warning.substring(end + 1).strip());
            }
        }
    }
}
