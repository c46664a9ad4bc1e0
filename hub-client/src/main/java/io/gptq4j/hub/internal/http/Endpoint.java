package io.gptq4j.hub.internal.http;

import io.gptq4j.hub.config.HubConfig;
import io.gptq4j.hub.repo.Repo;
import io.gptq4j.hub.repo.Revision;
import java.util.regex.Pattern;
import okhttp3.HttpUrl;

/** The Hub's address, and which addresses belong to it. */
public final class Endpoint {
    private static final HttpUrl PUBLIC_HUB = HttpUrl.get(HubConfig.DEFAULT_ENDPOINT);
    private static final Pattern ROUTE = Pattern.compile(
            "/(?:api/.*|oauth/.*|(?:(?:datasets|spaces)/)?[^/]+(?:/[^/]+)?(?:/resolve/.*|\\.git/info/lfs/.*))");

    private final HttpUrl root;

    /** Of an address without a slash at its end. */
    public Endpoint(String address) {
        root = HttpUrl.get(address);
    }

    /** Whether the token may go there: to the Hub itself, and there only to what is not storage behind its name. */
    public boolean mayHaveToken(HttpUrl url) {
        return isSameAuthority(url, root) && isRoute(url);
    }

    /** Whether the address has the Hub's scheme, host and port. */
    public boolean isHub(HttpUrl url) {
        return isSameAuthority(url, root);
    }

    /** An address that names the public Hub, at the Hub in use: mirrors pass such addresses on as they got them. */
    public HttpUrl rewritten(HttpUrl url) {
        return isSameAuthority(url, PUBLIC_HUB) && !root.host().equals(PUBLIC_HUB.host())
                ? below(url.encodedPath().substring(1))
                        .encodedQuery(url.encodedQuery())
                        .build()
                : url;
    }

    /** {@code ENDPOINT/api/...}; the segments are encoded, slashes in them included. */
    public HttpUrl api(String... segments) {
        HttpUrl.Builder url = below("api");
        for (String segment : segments) {
            url.addPathSegment(segment);
        }
        return url.build();
    }

    /** {@code ENDPOINT/api/models/ns/name/...}; the segments are encoded, slashes in them included. */
    public HttpUrl api(Repo repo, String... segments) {
        HttpUrl.Builder url = below("api")
                .addPathSegment(repo.type().plural())
                .addPathSegments(repo.id().toString());
        for (String segment : segments) {
            url.addPathSegment(segment);
        }
        return url.build();
    }

    /** Where the content of a file is to be had: {@code ENDPOINT/ns/name/resolve/revision/path}. */
    public HttpUrl resolve(Repo repo, Revision revision, String path) {
        HttpUrl.Builder url = below(repo.webPath()).addPathSegment("resolve").addPathSegment(revision.name());
        for (String segment : path.split("/", -1)) {
            url.addPathSegment(segment); // not all at once: a backslash would pass for a slash
        }
        return url.build();
    }

    /** The LFS batch route of a repository. */
    public HttpUrl lfsBatch(Repo repo) {
        return below(repo.webPath() + ".git/info/lfs/objects/batch").build();
    }

    /** The web page of a repository. */
    public HttpUrl page(Repo repo) {
        return below(repo.webPath()).build();
    }

    private HttpUrl.Builder below(String path) {
        return root.newBuilder().addEncodedPathSegments(path);
    }

    private boolean isRoute(HttpUrl url) {
        String prefix = root.encodedPath().equals("/") ? "" : root.encodedPath();
        String path = url.encodedPath();
        return path.startsWith(prefix)
                && ROUTE.matcher(path.substring(prefix.length())).matches();
    }

    private static boolean isSameAuthority(HttpUrl a, HttpUrl b) {
        return a.scheme().equals(b.scheme()) && a.host().equals(b.host()) && a.port() == b.port();
    }
}
