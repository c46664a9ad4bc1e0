package io.gptq4j.hub;

import static io.gptq4j.hub.ScriptedServer.json;
import static io.gptq4j.hub.Stubs.INFO;
import static io.gptq4j.hub.Stubs.REPO;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.gptq4j.hub.error.HubNetworkException;
import io.gptq4j.hub.repo.Revision;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Base64;
import mockwebserver3.MockWebServer;
import okhttp3.tls.HandshakeCertificates;
import okhttp3.tls.HeldCertificate;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Servers with a certificate of an authority that Java does not know. */
class TlsTest {
    private static final HeldCertificate AUTHORITY = new HeldCertificate.Builder()
            .commonName("A company")
            .certificateAuthority(0)
            .build();
    private static final HeldCertificate OTHER = new HeldCertificate.Builder()
            .commonName("Another")
            .certificateAuthority(0)
            .build();

    private final ScriptedServer hub = new ScriptedServer();

    @TempDir
    Path home;

    private Desk desk;

    @BeforeEach
    void start() throws IOException {
        start("localhost");
    }

    private void start(String name) throws IOException {
        HeldCertificate certificate = new HeldCertificate.Builder()
                .addSubjectAlternativeName(name)
                .signedBy(AUTHORITY)
                .build();
        MockWebServer server = hub.server();
        server.useHttps(new HandshakeCertificates.Builder()
                .heldCertificate(certificate)
                .build()
                .sslSocketFactory());
        if (!server.getStarted()) {
            server.start();
        }
        hub.on("GET " + INFO, json("{\"id\":\"acme/m\"}").build());
        desk = new Desk(home, "https://localhost:" + server.getPort()).token("hf_topsecret");
    }

    @AfterEach
    void close() {
        desk.close();
        hub.server().close();
    }

    @Test
    void anUnknownAuthorityIsRefusedAtOnceAndTheVariableNamed() throws IOException {
        HubClient client = desk.client();
        assertThatThrownBy(() -> client.info(REPO, Revision.MAIN))
                .isInstanceOfSatisfying(
                        HubNetworkException.class,
                        e -> assertThat(e.isPermanent()).isTrue())
                .hasMessageContaining("the server's certificate is not trusted")
                .hasMessageContaining("name its authority's PEM file in SSL_CERT_FILE");
        assertThat(desk.waits()).isEmpty();
        assertThat(hub.calls()).isEmpty();
    }

    @Test
    void anAuthorityInTheBundleIsTrusted() throws IOException {
        Path bundle = Files.writeString(
                home.resolve("ca.pem"),
                "# Größe\n" + OTHER.certificatePem() + "\nsome words\n" + AUTHORITY.certificatePem(),
                java.nio.charset.StandardCharsets.ISO_8859_1);
        HubClient client = desk.with("SSL_CERT_FILE", bundle.toString()).client();
        assertThat(client.info(REPO, Revision.MAIN).id()).isEqualTo("acme/m");
    }

    @Test
    void openSslsOwnFormOfTrustedCertificatesIsRead() throws IOException {
        String pem = AUTHORITY.certificatePem().replace("CERTIFICATE", "TRUSTED CERTIFICATE");
        Path bundle = Files.writeString(home.resolve("ca.pem"), pem);
        HubClient client = desk.with("REQUESTS_CA_BUNDLE", bundle.toString()).client();
        assertThat(client.info(REPO, Revision.MAIN).id()).isEqualTo("acme/m");
    }

    @Test
    void aBundleWithoutTheAuthorityDoesNotHelp() throws IOException {
        Path bundle = Files.writeString(home.resolve("ca.pem"), OTHER.certificatePem());
        HubClient client = desk.with("SSL_CERT_FILE", bundle.toString()).client();
        assertThatThrownBy(() -> client.info(REPO, Revision.MAIN))
                .isInstanceOf(HubNetworkException.class)
                .hasMessageContaining("is not trusted");
    }

    @Test
    void aCertificateForAnotherNameIsRefused() throws IOException {
        start("huggingface.example");
        Path bundle = Files.writeString(home.resolve("ca.pem"), AUTHORITY.certificatePem());
        HubClient client = desk.with("SSL_CERT_FILE", bundle.toString()).client();
        assertThatThrownBy(() -> client.info(REPO, Revision.MAIN))
                .isInstanceOfSatisfying(
                        HubNetworkException.class,
                        e -> assertThat(e.isPermanent()).isTrue())
                .hasMessageContaining("is not trusted");
    }

    @Test
    void aBundleThatIsNoneIsAnErrorBeforeAnyRequest() throws IOException {
        Path missing = home.resolve("missing.pem");
        assertThatThrownBy(() -> desk.with("SSL_CERT_FILE", missing.toString()).client())
                .isInstanceOf(IOException.class)
                .hasMessageContaining("missing.pem");
        Path empty = Files.writeString(home.resolve("empty.pem"), "no certificate");
        assertThatThrownBy(() -> desk.with("SSL_CERT_FILE", empty.toString()).client())
                .isInstanceOf(IOException.class)
                .hasMessageContaining(empty + " holds no certificate");
        String garbage = Base64.getMimeEncoder().encodeToString(new byte[300]);
        Path broken = Files.writeString(
                home.resolve("broken.pem"),
                "-----BEGIN CERTIFICATE-----\n" + garbage + "\n-----END CERTIFICATE-----\n");
        assertThatThrownBy(() -> desk.with("SSL_CERT_FILE", broken.toString()).client())
                .isInstanceOf(IOException.class)
                .hasMessageContaining("The certificates in " + broken + " cannot be used");
    }
}
