package io.gptq4j.it.hub;

import static io.gptq4j.it.hub.Asking.header;
import static io.gptq4j.it.hub.Asking.text;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.Socket;
import java.net.SocketException;
import java.net.URI;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.zip.GZIPInputStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/** What the fake does wrong on request, and what it remembers. */
class FakeHubFaultTest {
    private static final byte[] WEIGHTS = new byte[3_000_000];

    static {
        new Random(2).nextBytes(WEIGHTS);
    }

    private final FakeHub hub = FakeHub.start();
    private final Asking asking = new Asking(hub.url(), "");
    private final FakeRepo repo =
            hub.repo("acme/m").commit("main", "seed", Map.of("a.json", "{\"a\": 1}", "w.safetensors", WEIGHTS));

    @AfterEach
    void stop() {
        hub.close();
    }

    private String location() throws Exception {
        return header(asking.head("/acme/m/resolve/main/w.safetensors"), "Location");
    }

    /** A request over a bare socket; gives all bytes after the header up to the end of the connection. */
    private static byte[] bodyUntilTheEnd(String url) throws IOException {
        URI uri = URI.create(url);
        try (Socket socket = new Socket(InetAddress.getLoopbackAddress(), uri.getPort())) {
            String request = "GET " + uri.getRawPath() + "?" + uri.getRawQuery() + " HTTP/1.1\r\nHost: x\r\n\r\n";
            socket.getOutputStream().write(request.getBytes(StandardCharsets.US_ASCII));
            InputStream in = socket.getInputStream();
            int newlines = 0;
            while (newlines < 2) {
                int c = in.read();
                newlines = c == '\n' ? newlines + 1 : c == '\r' ? newlines : 0;
            }
            return in.readAllBytes();
        }
    }

    @Test
    void cutsABodyAfterSoManyBytes() throws Exception {
        String location = location();
        hub.fault(Fault.on("GET", "/_cdn/").dropAfter(1_200_000));
        assertThat(bodyUntilTheEnd(location)).isEqualTo(Arrays.copyOf(WEIGHTS, 1_200_000));
        Exchange cut = hub.requests("GET", "/_cdn/").get(0);
        assertThat(cut.status()).isEqualTo(200);
        assertThat(cut.sentBytes()).isEqualTo(1_200_000);
        assertThat(cut.fault()).isEqualTo("drop after 1200000");
        assertThat(asking.get(location).body()).isEqualTo(WEIGHTS);
        assertThat(hub.bytesSent("/_cdn/")).isEqualTo(4_200_000);
    }

    @Test
    void resetsAConnection() throws Exception {
        String location = location();
        hub.fault(Fault.on("GET", "/_cdn/").dropAfter(1000).rst());
        assertThatThrownBy(() -> bodyUntilTheEnd(location))
                .isInstanceOf(SocketException.class)
                .hasMessageContaining("reset");
    }

    /** With POST, because the JDK's client repeats a lost GET without saying so. */
    @Test
    void refusesBeforeTheStatusLine() throws Exception {
        Asking alice = new Asking(hub.url(), FakeHub.WRITE_TOKEN);
        hub.fault(Fault.on("*", "/branch/").refuse().times(2));
        for (int i = 0; i < 2; i++) {
            assertThatThrownBy(() -> alice.post("/api/models/acme/m/branch/dev", "{}"))
                    .isInstanceOf(IOException.class);
        }
        assertThat(hub.log()).hasSize(2).extracting(Exchange::status).containsOnly(0);
        assertThat(hub.pendingFaults()).isEmpty();
        assertThat(repo.branches()).doesNotContainKey("dev");
        assertThat(alice.post("/api/models/acme/m/branch/dev", "{}").statusCode())
                .isEqualTo(200);
    }

    @Test
    void losesAnAnswerAfterDoingTheWork() {
        Asking alice = new Asking(hub.url(), FakeHub.WRITE_TOKEN);
        hub.fault(Fault.on("POST", "/branch/").loseAnswer());
        assertThatThrownBy(() -> alice.post("/api/models/acme/m/branch/dev", "{}"))
                .isInstanceOf(IOException.class);
        assertThat(repo.branches()).containsKey("dev");
        assertThat(hub.log().get(0).status()).isZero();
    }

    @Test
    void answersWithAStatus() throws Exception {
        hub.fault(Fault.on("GET", "/api/models/").status(429).retryAfter(2).rateLimit(1));
        HttpResponse<byte[]> limited = asking.get("/api/models/acme/m");
        assertThat(limited.statusCode()).isEqualTo(429);
        assertThat(header(limited, "Retry-After")).isEqualTo("2");
        assertThat(header(limited, "RateLimit")).isEqualTo("\"api\";r=0;t=1");
        assertThat(text(limited)).isEqualTo("injected");

        hub.fault(Fault.on("GET", "/api/models/")
                .status(403)
                .message("No more room")
                .errorCode("Full")
                .skipping(1));
        assertThat(asking.get("/api/models/acme/m").statusCode()).isEqualTo(200);
        HttpResponse<byte[]> full = asking.get("/api/models/acme/m");
        assertThat(header(full, "X-Error-Message")).isEqualTo("No more room");
        assertThat(header(full, "X-Error-Code")).isEqualTo("Full");
        assertThat(text(full)).isEqualTo("{\"error\":\"No more room\"}");

        hub.fault(Fault.on("GET", "/api/models/").redirect("/elsewhere"));
        HttpResponse<byte[]> redirect = asking.get("/api/models/acme/m");
        assertThat(redirect.statusCode()).isEqualTo(307);
        assertThat(header(redirect, "Location")).isEqualTo("/elsewhere");
    }

    @Test
    void corruptsShortensAndCompresses() throws Exception {
        String location = location();
        hub.fault(Fault.on("GET", "/_cdn/").corrupt())
                .fault(Fault.on("GET", "/_cdn/").shortBody())
                .fault(Fault.on("GET", "/_cdn/").ignoreRange())
                .fault(Fault.on("GET", "/_cdn/").gzip().withoutHeader("ETag"));
        byte[] expected = WEIGHTS.clone();
        expected[1_500_000] ^= 1;
        assertThat(asking.get(location).body()).isEqualTo(expected);
        assertThat(asking.get(location).body()).isEqualTo(Arrays.copyOf(WEIGHTS, 1_500_000));
        assertThat(asking.get(location, "Range", "bytes=5-").statusCode()).isEqualTo(200);
        HttpResponse<byte[]> packed = asking.get(location);
        assertThat(packed.headers().map()).doesNotContainKeys("ETag", "Content-Length");
        assertThat(header(packed, "Content-Encoding")).isEqualTo("gzip");
        assertThat(new GZIPInputStream(new ByteArrayInputStream(packed.body())).readAllBytes())
                .isEqualTo(WEIGHTS);
    }

    @Test
    void liesAboutTheLength() throws Exception {
        String location = location();
        hub.fault(Fault.on("GET", "/_cdn/").contentLength(4_000_000));
        assertThatThrownBy(() -> asking.get(location)).isInstanceOf(IOException.class);
        assertThat(header(asking.get(location), "Content-Length")).isEqualTo("3000000");
    }

    @Test
    void stallsAndDribblesWithoutHoldingUpTheLog() throws Exception {
        String location = location();
        hub.fault(Fault.on("GET", "/_cdn/").stall(1_000_000, Duration.ofHours(1)));
        URI uri = URI.create(location);
        try (Socket socket = new Socket(InetAddress.getLoopbackAddress(), uri.getPort())) {
            String request = "GET " + uri.getRawPath() + "?" + uri.getRawQuery() + " HTTP/1.1\r\nHost: x\r\n\r\n";
            socket.getOutputStream().write(request.getBytes(StandardCharsets.US_ASCII));
            byte[] soFar = socket.getInputStream().readNBytes(1_000_000);
            assertThat(soFar).hasSize(1_000_000);
            assertThat(hub.requests("GET", "/_cdn/").get(0).sentBytes()).isEqualTo(1_000_000);
        }
        hub.fault(Fault.on("GET", "/_cdn/").bytesPerSecond(60_000_000));
        assertThat(asking.get(location).body()).isEqualTo(WEIGHTS);
    }

    @Test
    void cutsAnUploadOnTheWay() throws Exception {
        hub.fault(Fault.on("PUT", "/_s3/").dropAfter(100_000));
        Asking storage = new Asking(hub.cdnUrl(), "");
        assertThatThrownBy(() -> storage.put("/_s3/x", new byte[8_000_000])).isInstanceOf(IOException.class);
        assertThat(hub.log().get(0).bodySize()).isEqualTo(100_000);
        assertThat(hub.log().get(0).status()).isZero();
    }

    @Test
    void remembersWhatWasAsked() throws Exception {
        asking.get("/api/models/acme/m/tree/main%2Fx?recursive=true", "X-Probe", "1", "x-probe", "2");
        new Asking(hub.url(), FakeHub.WRITE_TOKEN)
                .post("/api/models/acme/m/branch/dev", "{\"startingPoint\": \"main\"}");
        List<Exchange> log = hub.log();
        assertThat(log).hasSize(2);
        Exchange first = log.get(0);
        assertThat(first.seq()).isEqualTo(1);
        assertThat(first.listener()).isEqualTo("hub");
        assertThat(first.target()).isEqualTo("/api/models/acme/m/tree/main%2Fx?recursive=true");
        assertThat(first.headers().all("X-PROBE")).containsExactly("1", "2");
        assertThat(first.status()).isEqualTo(404);
        assertThat(first.responseText()).isEqualTo("{\"error\":\"Invalid rev id: main/x\"}");
        assertThat(first.fault()).isNull();
        Exchange second = log.get(1);
        assertThat(second.header("Authorization")).isEqualTo("Bearer hf_fakewrite");
        assertThat(second.bodyText()).isEqualTo("{\"startingPoint\": \"main\"}");
        assertThat(second.bodySize()).isEqualTo(25);
        assertThat(second.bodySha256()).isEqualTo("18d93614cf97834bf67c70a3be36c69d0ab8ff9b4b7e68420e4f110f8bb27755");
        hub.clearLog();
        assertThat(hub.log()).isEmpty();
    }

    @Test
    void goesDownAndComesUpOnTheSamePort() throws Exception {
        hub.goDown();
        assertThatThrownBy(() -> asking.get("/api/models/acme/m")).isInstanceOf(IOException.class);
        hub.comeUp();
        assertThat(asking.get("/api/models/acme/m").statusCode()).isEqualTo(200);
    }
}
