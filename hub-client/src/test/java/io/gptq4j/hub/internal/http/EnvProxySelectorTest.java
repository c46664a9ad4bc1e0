package io.gptq4j.hub.internal.http;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.Proxy;
import java.net.ProxySelector;
import java.net.SocketAddress;
import java.net.URI;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class EnvProxySelectorTest {
    private static final ProxySelector JAVAS_OWN = new ProxySelector() {
        @Override
        public List<Proxy> select(URI uri) {
            return List.of(new Proxy(Proxy.Type.HTTP, InetSocketAddress.createUnresolved("java", 1)));
        }

        @Override
        public void connectFailed(URI uri, SocketAddress address, IOException failure) {}
    };

    private static String chosen(Map<String, String> variables, String target) {
        Proxy proxy = new EnvProxySelector(variables, JAVAS_OWN)
                .select(URI.create(target))
                .get(0);
        return proxy.type() == Proxy.Type.DIRECT
                ? "DIRECT"
                : proxy.type() + " " + ((InetSocketAddress) proxy.address()).getHostString() + ":"
                        + ((InetSocketAddress) proxy.address()).getPort();
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            http_proxy  | http://p:3128       | http://hub/  | HTTP p:3128
            http_proxy  | http://p:3128       | https://hub/ | HTTP java:1
            https_proxy | http://p:3128       | https://hub/ | HTTP p:3128
            https_proxy | http://p:3128/      | https://hub/ | HTTP p:3128
            https_proxy | https://p           | https://hub/ | HTTP p:443
            https_proxy | p:3128              | https://hub/ | HTTP p:3128
            https_proxy | p                   | https://hub/ | HTTP p:80
            https_proxy | http://u:s@p:3128   | https://hub/ | HTTP p:3128
            https_proxy | http://[::1]:3128   | https://hub/ | HTTP [::1]:3128
            all_proxy   | http://p:3128       | https://hub/ | HTTP p:3128
            all_proxy   | socks5://p          | http://hub/  | SOCKS p:1080
            all_proxy   | socks5h://p:9       | http://hub/  | SOCKS p:9
            """)
    void theVariableOfTheSchemeDecides(String variable, String value, String target, String proxy) {
        assertThat(chosen(Map.of(variable, value), target)).isEqualTo(proxy);
    }

    @Test
    void theVariableOfTheSchemeGoesBeforeThatOfAll() {
        Map<String, String> both = Map.of("https_proxy", "https-proxy:1", "all_proxy", "all-proxy:2");
        assertThat(chosen(both, "https://hub/")).isEqualTo("HTTP https-proxy:1");
        assertThat(chosen(both, "http://hub/")).isEqualTo("HTTP all-proxy:2");
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            hub.example.org         | http://hub.example.org/       | true
            example.org             | http://hub.example.org/       | true
            .example.org            | http://hub.example.org/       | true
            *.example.org           | http://hub.example.org/       | true
            example.org             | http://example.org/           | true
            .example.org            | http://example.org/           | true
            EXAMPLE.org             | http://Hub.Example.ORG/       | true
            ample.org               | http://example.org/           | false
            example.org.            | http://other.org/             | false
            example.org:8080        | http://example.org:8080/      | true
            example.org:8080        | http://example.org/           | false
            example.org:80          | http://example.org/           | true
            a.org , example.org ,,  | http://example.org/           | true
            *                       | http://anything/              | true
            127.0.0.1               | http://127.0.0.1:8080/        | true
            127.0.0.1:8080          | http://127.0.0.1:8080/        | true
            ::1                     | http://[::1]:8080/            | true
            [::1]                   | http://[::1]:8080/            | true
            ::2                     | http://[::1]:8080/            | false
            ''                      | http://example.org/           | false
            """)
    void namesThatAreExcludedAreReachedDirectly(String noProxy, String target, boolean direct) {
        assertThat(chosen(Map.of("http_proxy", "p:1", "no_proxy", noProxy), target))
                .isEqualTo(direct ? "DIRECT" : "HTTP p:1");
    }

    @Test
    void withoutVariablesJavaDecides() {
        assertThat(chosen(Map.of(), "https://hub/")).isEqualTo("HTTP java:1");
        assertThat(new EnvProxySelector(Map.of(), null).select(URI.create("https://hub/")))
                .containsExactly(Proxy.NO_PROXY);
    }

    @Test
    void theLoginBelongsToItsProxyOnly() {
        EnvProxySelector selector = new EnvProxySelector(
                Map.of("https_proxy", "http://user:p%40s+s@p:3128", "http_proxy", "http://alone@q:1"), JAVAS_OWN);
        // user:p@s+s and alone:
        assertThat(selector.credentials(InetSocketAddress.createUnresolved("p", 3128)))
                .isEqualTo("Basic dXNlcjpwQHMrcw==");
        assertThat(selector.credentials(InetSocketAddress.createUnresolved("q", 1)))
                .isEqualTo("Basic YWxvbmU6");
        assertThat(selector.credentials(InetSocketAddress.createUnresolved("p", 1)))
                .isNull();
    }

    @Test
    void aValueThatIsNoAddressIsRefusedWithoutBeingShown() {
        EnvProxySelector selector = new EnvProxySelector(Map.of("https_proxy", "http://user:s3cret@"), JAVAS_OWN);
        assertThatIllegalArgumentException()
                .isThrownBy(() -> selector.select(URI.create("https://hub/")))
                .withMessageContaining("The environment variable https_proxy holds no address of a proxy")
                .withMessageNotContaining("s3cret");
    }
}
