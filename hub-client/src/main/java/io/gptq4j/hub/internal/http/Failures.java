package io.gptq4j.hub.internal.http;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import io.gptq4j.hub.config.HubToken;
import io.gptq4j.hub.error.AuthenticationException;
import io.gptq4j.hub.error.DisabledRepositoryException;
import io.gptq4j.hub.error.EntryNotFoundException;
import io.gptq4j.hub.error.GatedRepositoryException;
import io.gptq4j.hub.error.HubException;
import io.gptq4j.hub.error.HubHttpException;
import io.gptq4j.hub.error.HubNetworkException;
import io.gptq4j.hub.error.RepositoryNotFoundException;
import io.gptq4j.hub.error.RevisionNotFoundException;
import java.io.IOException;
import java.net.SocketTimeoutException;
import java.net.UnknownHostException;
import java.time.Instant;
import java.util.LinkedHashSet;
import java.util.Set;
import java.util.regex.Pattern;
import javax.net.ssl.SSLHandshakeException;
import javax.net.ssl.SSLPeerUnverifiedException;
import okhttp3.Response;
import okio.Buffer;
import org.jspecify.annotations.Nullable;

/**
 * Turns answers that are no success, and broken connections, into exceptions with a sentence for the user. The order of the
 * rules is huggingface_hub's; unlike there, an anonymous 401 means "not found or private" on plain HTTP, too.
 */
final class Failures {
    private static final long MOST_BODY = 64 << 10;
    private static final int LONGEST_TEXT = 500;
    private static final Pattern REPO_ROUTE =
            Pattern.compile(".*/api/(models|datasets|spaces)/.+|.+/resolve/.+|.+\\.git/.+");
    private static final String BAD_TOKEN = "Invalid credentials in Authorization header";
    private static final String DISABLED = "Access to this resource is disabled.";

    private Failures() {}

    /** What an answer means. Reads the beginning of its body. */
    static HubException of(HubRequest request, Response response, @Nullable HubToken sentToken) {
        String code = String.valueOf(response.header("X-Error-Code"));
        String message = response.header("X-Error-Message", "");
        String said = serverText(response);
        if (sentToken != null) {
            said = said.replace(sentToken.value(), sentToken.masked()); // some servers repeat what they refuse
        }
        String details = details(request, response);
        String cannot = "Cannot " + request.action() + ": ";
        String token = sentToken == null ? "no token was sent" : "the token from " + sentToken.source() + " was sent";
        int status = response.code();
        if (code.equals("RevisionNotFound")) {
            return new RevisionNotFoundException(cannot + "the repository has no such revision" + details);
        }
        if (code.equals("EntryNotFound")) {
            return new EntryNotFoundException(cannot + "the revision has no such file or folder" + details);
        }
        if (code.equals("GatedRepo")) {
            String why = sentToken == null
                    ? "no token was sent; ask for access on its page, then log in"
                    : "the account of the token from " + sentToken.source()
                            + " has not been granted it; ask for access on its page";
            return new GatedRepositoryException(
                    cannot + "access to the repository is restricted and " + why + quoted(said) + details);
        }
        if (DISABLED.equals(message)) {
            return new DisabledRepositoryException(
                    cannot + "the Hub has disabled the repository" + quoted(said) + details);
        }
        boolean badToken = status == 401 && said.contains(BAD_TOKEN);
        if (code.equals("RepoNotFound") || (status == 401 && !badToken && isRepoRoute(request))) {
            return new RepositoryNotFoundException(cannot
                    + "the repository was not found: it does not exist, or it is private and " + token
                    + (sentToken == null ? " (log in, or set HF_TOKEN)" : ", which may not see it") + details);
        }
        if (status == 401) {
            return new AuthenticationException(cannot
                    + (sentToken == null
                            ? "a token is needed and there is none; log in, or set HF_TOKEN"
                            : "the Hub does not accept the token from " + sentToken.source() + " (" + sentToken.masked()
                                    + "); replace it, or remove it to read public repositories")
                    + quoted(said)
                    + details);
        }
        String hint = switch (status) {
            case 403 ->
                sentToken == null
                        ? " (no token was sent)"
                        : " (does the token from " + sentToken.source() + " have the permission?)";
            case 407 -> "; the proxy wants a user and a password: http://USER:PASSWORD@HOST:PORT in the proxy variable";
            case 429 -> "; the rate limit is reached";
            default -> "";
        };
        return new HubHttpException(
                cannot + (said.isEmpty() ? "the server answered " + status : said) + hint + details,
                status,
                RateLimit.waitOf(response, Instant.now()));
    }

    /** What a broken connection means. */
    static HubException of(HubRequest request, IOException broken) {
        if (broken instanceof HubException hub) {
            return hub;
        }
        String reason = broken.getMessage() == null ? broken.getClass().getSimpleName() : broken.getMessage();
        boolean permanent = false;
        if (broken instanceof SSLHandshakeException || broken instanceof SSLPeerUnverifiedException) {
            permanent = true;
            reason = "the server's certificate is not trusted (" + reason
                    + "); behind a proxy that signs for itself, name its authority's PEM file in SSL_CERT_FILE";
        } else if (broken instanceof UnknownHostException) {
            reason = "the name " + request.url().host() + " is not known here";
        } else if (broken instanceof SocketTimeoutException) {
            reason = "the server said nothing for too long (" + reason + ")";
        } else if (reason.startsWith("Failed to authenticate with proxy")) {
            permanent = true;
            reason = "the proxy wants a user and a password: http://USER:PASSWORD@HOST:PORT in the proxy variable";
        }
        return new HubNetworkException(
                "Cannot " + request.action() + ": " + reason + " (" + request.shownUrl() + ")", broken, permanent);
    }

    /** What the server says in words: header, JSON fields and, unless it is a page for browsers, the body. */
    private static String serverText(Response response) {
        Set<String> texts = new LinkedHashSet<>();
        texts.add(response.header("X-Error-Message", ""));
        String body = bodyText(response);
        try {
            JsonNode json = body.startsWith("{") ? Json.read(body) : null;
            if (json != null) {
                addTexts(texts, json.path("error"));
                addTexts(texts, json.path("error_description"));
                json.path("errors").forEach(error -> addTexts(texts, error.path("message")));
                addTexts(texts, json.path("message"));
            } else if (!body.startsWith("<")) {
                texts.add(body);
            }
        } catch (JsonProcessingException noJson) {
            texts.add(body);
        }
        texts.removeIf(String::isBlank);
        String all = String.join("; ", texts).replaceAll("\\p{Cntrl}+", " ").strip();
        return all.length() <= LONGEST_TEXT ? all : all.substring(0, LONGEST_TEXT) + "...";
    }

    private static void addTexts(Set<String> texts, JsonNode node) {
        if (node.isTextual()) {
            texts.add(node.asText());
        } else if (node.isArray()) {
            node.forEach(element -> addTexts(texts, element));
        }
    }

    private static String bodyText(Response response) {
        try {
            Buffer buffer = new Buffer();
            response.body().source().request(MOST_BODY);
            buffer.write(
                    response.body().source().getBuffer(),
                    Math.min(MOST_BODY, response.body().source().getBuffer().size()));
            return buffer.readUtf8().strip();
        } catch (IOException lost) {
            return ""; // the status alone says enough
        }
    }

    private static String quoted(String said) {
        return said.isEmpty() ? "" : ": \"" + said + "\"";
    }

    private static String details(HubRequest request, Response response) {
        StringBuilder text = new StringBuilder(" (HTTP ")
                .append(response.code())
                .append(", ")
                .append(request.shownUrl());
        for (String name : new String[] {"X-Request-Id", "X-Amzn-Trace-Id", "X-Amz-Cf-Id"}) {
            String id = response.header(name);
            if (id != null) {
                return text.append(", request ").append(id).append(')').toString();
            }
        }
        return text.append(')').toString();
    }

    private static boolean isRepoRoute(HubRequest request) {
        return REPO_ROUTE.matcher(request.url().encodedPath()).matches();
    }
}
