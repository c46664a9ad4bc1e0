package io.gptq4j.hub.internal.io;

import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.Optional;

/**
 * The hash that an etag is: 64 hexadecimal digits are the sha256 of the content, 40 are git's id of a blob, the sha1 of
 * {@code blob SIZE\0} and the content. Belongs to one thread.
 */
public final class ContentHash {
    private static final int SHA256_DIGITS = 64;
    private static final int SHA1_DIGITS = 40;
    private static final int CHUNK = 1 << 20;

    private final String name;
    private final MessageDigest digest;

    private ContentHash(String name, MessageDigest digest) {
        this.name = name;
        this.digest = digest;
    }

    /** A hash to compare with an etag; empty if the etag is none. */
    public static Optional<ContentHash> matching(String etag, long size) {
        if (!etag.matches("[0-9a-f]+")) {
            return Optional.empty();
        }
        return switch (etag.length()) {
            case SHA256_DIGITS -> Optional.of(sha256());
            case SHA1_DIGITS -> Optional.of(gitBlob(size));
            default -> Optional.empty();
        };
    }

    /** A sha256. */
    public static ContentHash sha256() {
        return new ContentHash("sha256", digest("SHA-256"));
    }

    /** A git id of a blob of so many bytes. */
    public static ContentHash gitBlob(long size) {
        ContentHash hash = new ContentHash("git sha1", digest("SHA-1"));
        hash.digest.update(("blob " + size + "\0").getBytes(StandardCharsets.US_ASCII));
        return hash;
    }

    /** What messages call it. */
    public String algorithm() {
        return name;
    }

    /** Takes more of the content. */
    public void update(ByteBuffer content) {
        digest.update(content);
    }

    /** The hash of all that was taken, in hexadecimal digits. */
    public String hex() {
        return HexFormat.of().formatHex(digest.digest());
    }

    /** The hash of a whole file, in hexadecimal digits. */
    public String of(Path file) throws IOException {
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.READ)) {
            ByteBuffer buffer = ByteBuffer.allocateDirect((int) Math.max(1, Math.min(CHUNK, channel.size())));
            while (channel.read(buffer) >= 0) {
                digest.update(buffer.flip());
                buffer.clear();
            }
            return hex();
        }
    }

    /** Takes {@code count} bytes of a file from {@code from} on. */
    public void update(FileChannel channel, long from, long count, ByteBuffer buffer) throws IOException {
        long position = from;
        while (position < from + count) {
            buffer.clear().limit((int) Math.min(buffer.capacity(), from + count - position));
            int read = channel.read(buffer, position);
            if (read < 0) {
                throw new EOFException("unexpected end of file at byte " + position);
            }
            position += read;
            digest.update(buffer.flip());
        }
    }

    private static MessageDigest digest(String algorithm) {
        try {
            return MessageDigest.getInstance(algorithm);
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("Every Java has " + algorithm, e);
        }
    }
}
