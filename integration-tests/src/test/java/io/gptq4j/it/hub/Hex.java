package io.gptq4j.it.hub;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;

/** Digests as lower-case hexadecimal. */
final class Hex {
    private Hex() {}

    static MessageDigest sha1() {
        return digest("SHA-1");
    }

    static MessageDigest sha256() {
        return digest("SHA-256");
    }

    private static MessageDigest digest(String algorithm) {
        try {
            return MessageDigest.getInstance(algorithm);
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every JDK has " + algorithm, e);
        }
    }

    static String of(byte[] bytes) {
        return HexFormat.of().formatHex(bytes);
    }

    static String sha256Of(byte[] bytes) {
        return of(sha256().digest(bytes));
    }

    /** The first digits of the text's sha256: a stable id that looks random. */
    static String id(String text, int digits) {
        return sha256Of(text.getBytes(StandardCharsets.UTF_8)).substring(0, digits);
    }
}
