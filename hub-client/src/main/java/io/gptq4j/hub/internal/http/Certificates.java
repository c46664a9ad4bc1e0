package io.gptq4j.hub.internal.http;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyStore;
import java.security.cert.Certificate;
import java.security.cert.CertificateException;
import java.security.cert.CertificateFactory;
import java.security.cert.X509Certificate;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import javax.net.ssl.TrustManager;
import javax.net.ssl.TrustManagerFactory;
import javax.net.ssl.X509TrustManager;
import org.jspecify.annotations.Nullable;

/** Trusts what Java trusts, and the authorities in a PEM file besides: company proxies sign with their own. */
final class Certificates implements X509TrustManager {
    private static final Pattern PEM = Pattern.compile(
            "-----BEGIN (?:TRUSTED )?CERTIFICATE-----.*?-----END (?:TRUSTED )?CERTIFICATE-----", Pattern.DOTALL);

    private final X509TrustManager system;
    private final X509TrustManager added;

    private Certificates(X509TrustManager system, X509TrustManager added) {
        this.system = system;
        this.added = added;
    }

    /**
     * Reads a bundle.
     *
     * @throws IOException if the file cannot be read or holds no certificate
     */
    static X509TrustManager with(Path bundle) throws IOException {
        try {
            KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
            store.load(null, null);
            int count = 0;
            for (Certificate certificate : read(bundle)) {
                store.setCertificateEntry("bundle-" + count++, certificate);
            }
            if (count == 0) {
                throw new IOException(bundle + " holds no certificate; expected PEM blocks that begin with"
                        + " -----BEGIN CERTIFICATE-----");
            }
            return new Certificates(manager(null), manager(store));
        } catch (GeneralSecurityException e) {
            throw new IOException("The certificates in " + bundle + " cannot be used: " + e.getMessage(), e);
        }
    }

    private static List<Certificate> read(Path bundle) throws IOException, CertificateException {
        CertificateFactory factory = CertificateFactory.getInstance("X.509");
        List<Certificate> certificates = new ArrayList<>();
        // Bundles carry comments between the blocks, in any encoding, which the factory does not expect.
        Matcher block = PEM.matcher(Files.readString(bundle, StandardCharsets.ISO_8859_1));
        while (block.find()) {
            certificates.add(factory.generateCertificate(new ByteArrayInputStream(
                    block.group().replace("TRUSTED ", "").getBytes(StandardCharsets.US_ASCII))));
        }
        return certificates;
    }

    private static X509TrustManager manager(@Nullable KeyStore store) throws GeneralSecurityException {
        TrustManagerFactory factory = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        factory.init(store);
        for (TrustManager manager : factory.getTrustManagers()) {
            if (manager instanceof X509TrustManager x509) {
                return x509;
            }
        }
        throw new GeneralSecurityException("Java has no manager for X.509 certificates");
    }

    @Override
    public void checkClientTrusted(X509Certificate[] chain, String authType) throws CertificateException {
        system.checkClientTrusted(chain, authType);
    }

    @Override
    public void checkServerTrusted(X509Certificate[] chain, String authType) throws CertificateException {
        try {
            system.checkServerTrusted(chain, authType);
        } catch (CertificateException refused) {
            try {
                added.checkServerTrusted(chain, authType);
            } catch (CertificateException refusedToo) {
                refusedToo.addSuppressed(refused);
                throw refusedToo;
            }
        }
    }

    @Override
    public X509Certificate[] getAcceptedIssuers() {
        return Stream.of(system.getAcceptedIssuers(), added.getAcceptedIssuers())
                .flatMap(Arrays::stream)
                .toArray(X509Certificate[]::new);
    }
}
