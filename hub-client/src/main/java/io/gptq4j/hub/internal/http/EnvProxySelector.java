package io.gptq4j.hub.internal.http;

import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.Proxy;
import java.net.ProxySelector;
import java.net.SocketAddress;
import java.net.URI;
import java.net.URLDecoder;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import okhttp3.Credentials;
import org.jspecify.annotations.Nullable;

/**
 * Proxies from {@code http_proxy}, {@code https_proxy}, {@code all_proxy} and {@code no_proxy}, which Java does not read by
 * itself. Where none of them applies, Java's own selector decides, with its {@code https.proxyHost} and the like.
 */
final class EnvProxySelector extends ProxySelector {
    private final Map<String, String> variables;
    private final @Nullable ProxySelector otherwise;

    EnvProxySelector(Map<String, String> variables, @Nullable ProxySelector otherwise) {
        this.variables = Map.copyOf(variables);
        this.otherwise = otherwise;
    }

    @Override
    public List<Proxy> select(URI target) {
        String scheme = String.valueOf(target.getScheme()).toLowerCase(Locale.ROOT);
        String name = variables.containsKey(scheme + "_proxy") ? scheme + "_proxy" : "all_proxy";
        if (!variables.containsKey(name)) {
            return otherwise == null ? List.of(Proxy.NO_PROXY) : otherwise.select(target);
        }
        return isExcluded(target) ? List.of(Proxy.NO_PROXY) : List.of(proxy(name));
    }

    @Override
    public void connectFailed(URI target, SocketAddress address, IOException failure) {
        // the call itself fails and says so
    }

    /** The header value that logs in at a proxy, or null if no variable has a user for it. */
    @Nullable
    String credentials(SocketAddress proxy) {
        for (String name : List.of("http_proxy", "https_proxy", "all_proxy")) {
            if (variables.containsKey(name) && proxy.equals(proxy(name).address())) {
                String user = uri(name).getRawUserInfo();
                if (user != null) {
                    String[] parts = user.split(":", 2);
                    return Credentials.basic(decoded(parts[0]), parts.length > 1 ? decoded(parts[1]) : "");
                }
            }
        }
        return null;
    }

    /** The header value that logs in at the proxy on the way to an address, or null if there is none to log in at. */
    @Nullable
    String credentials(URI target) {
        Proxy proxy = select(target).get(0);
        return proxy.type() == Proxy.Type.HTTP ? credentials(proxy.address()) : null;
    }

    private boolean isExcluded(URI target) {
        String host = bare(String.valueOf(target.getHost()).toLowerCase(Locale.ROOT));
        int port = target.getPort() >= 0 ? target.getPort() : "https".equals(target.getScheme()) ? 443 : 80;
        for (String entry : variables.getOrDefault("no_proxy", "").split(",", -1)) {
            String rule = entry.strip().toLowerCase(Locale.ROOT);
            int colon = rule.lastIndexOf(':');
            if (colon > 0 && rule.indexOf(':') == colon) {
                if (!rule.substring(colon + 1).equals(String.valueOf(port))) {
                    continue;
                }
                rule = rule.substring(0, colon);
            }
            rule = bare(rule);
            String suffix = rule.startsWith("*.") ? rule.substring(1) : rule;
            String domain = suffix.startsWith(".") ? suffix.substring(1) : suffix;
            if (rule.equals("*") || (!domain.isEmpty() && (host.equals(domain) || host.endsWith("." + domain)))) {
                return true;
            }
        }
        return false;
    }

    /** An IPv6 address without its brackets, and any other name as it is. */
    private static String bare(String host) {
        return host.startsWith("[") && host.endsWith("]") ? host.substring(1, host.length() - 1) : host;
    }

    private Proxy proxy(String name) {
        URI uri = uri(name);
        boolean socks = String.valueOf(uri.getScheme()).startsWith("socks");
        int port = uri.getPort() >= 0 ? uri.getPort() : socks ? 1080 : "https".equals(uri.getScheme()) ? 443 : 80;
        return new Proxy(
                socks ? Proxy.Type.SOCKS : Proxy.Type.HTTP, InetSocketAddress.createUnresolved(uri.getHost(), port));
    }

    private URI uri(String name) {
        String text = variables.getOrDefault(name, "").strip();
        try {
            URI uri = URI.create(text.contains("://") ? text : "http://" + text);
            if (uri.getHost() != null) {
                return uri;
            }
        } catch (IllegalArgumentException refused) {
            // said below; the text itself may hold a password
        }
        throw new IllegalArgumentException("The environment variable " + name
                + " holds no address of a proxy; expected http://HOST:PORT or http://USER:PASSWORD@HOST:PORT");
    }

    private static String decoded(String text) {
        return URLDecoder.decode(text.replace("+", "%2B"), StandardCharsets.UTF_8);
    }
}
