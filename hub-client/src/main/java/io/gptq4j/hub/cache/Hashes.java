package io.gptq4j.hub.cache;

import static java.nio.charset.StandardCharsets.US_ASCII;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;

/** The two hashes that name files on the Hub, in lower-case hexadecimal digits. */
final class Hashes {
    private static final int CHUNK = 1 << 20;

    private Hashes() {}

    /** The sha256 of the content: what LFS and Xet go by. */
    static String sha256(Path file) throws IOException {
        return finish(digest("SHA-256"), file);
    }

    /** The sha1 of {@code blob SIZE\0} and the content: what git goes by. */
    static String gitSha1(Path file) throws IOException {
        MessageDigest digest = digest("SHA-1");
        digest.update(("blob " + Files.size(file) + "\0").getBytes(US_ASCII));
        return finish(digest, file);
    }

    private static String finish(MessageDigest digest, Path file) throws IOException {
        byte[] chunk = new byte[CHUNK];
        try (InputStream in = Files.newInputStream(file)) {
            for (int read = in.read(chunk); read >= 0; read = in.read(chunk)) {
                digest.update(chunk, 0, read);
            }
        }
        return HexFormat.of().formatHex(digest.digest());
    }

    private static MessageDigest digest(String algorithm) {
        try {
            return MessageDigest.getInstance(algorithm);
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("Every Java has " + algorithm, e);
        }
    }
}
