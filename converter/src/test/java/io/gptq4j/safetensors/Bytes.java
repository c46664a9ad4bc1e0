package io.gptq4j.safetensors;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.SeekableByteChannel;
import java.nio.charset.StandardCharsets;
import java.util.Objects;

/** Files of a test, byte by byte. */
final class Bytes {
    static final String ONE_TENSOR = "{\"test\":{\"dtype\":\"I32\",\"shape\":[2,2],\"data_offsets\":[0,16]}}";

    private Bytes() {}

    /** A safetensors file: the header's length, the header, and this many zero bytes of data. */
    static byte[] file(String header, int dataLength) {
        return file(header.getBytes(StandardCharsets.UTF_8), dataLength);
    }

    static byte[] file(byte[] header, int dataLength) {
        return ByteBuffer.allocate(8 + header.length + dataLength)
                .order(ByteOrder.LITTLE_ENDIAN)
                .putLong(header.length)
                .put(header)
                .array();
    }

    static byte[] concat(byte[]... parts) {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        for (byte[] part : parts) {
            out.writeBytes(part);
        }
        return out.toByteArray();
    }

    /** A channel over memory that is no FileChannel and hands out its content in a thousand pieces, none below 3 bytes. */
    static SeekableByteChannel channel(byte[] content) {
        return new SeekableByteChannel() {
            private final int piece = Math.max(3, content.length / 1000);
            private int position;
            private boolean open = true;

            @Override
            public int read(ByteBuffer target) {
                if (position >= content.length) {
                    return -1;
                }
                int count = Math.min(Math.min(piece, target.remaining()), content.length - position);
                target.put(content, position, count);
                position += count;
                return count;
            }

            @Override
            public int write(ByteBuffer source) {
                throw new UnsupportedOperationException();
            }

            @Override
            public long position() {
                return position;
            }

            @Override
            public SeekableByteChannel position(long newPosition) {
                position = (int) newPosition;
                return this;
            }

            @Override
            public long size() {
                return content.length;
            }

            @Override
            public SeekableByteChannel truncate(long size) {
                throw new UnsupportedOperationException();
            }

            @Override
            public boolean isOpen() {
                return open;
            }

            @Override
            public void close() {
                open = false;
            }
        };
    }

    /** A reader of {@code test.safetensors}, which is only in memory. */
    static SafetensorsReader open(byte[] file) throws IOException {
        return SafetensorsReader.open("test.safetensors", channel(file));
    }

    static TensorInfo info(TensorSource source, String name) {
        return Objects.requireNonNull(source.tensors().get(name), name);
    }

    static byte[] read(TensorSource source, String name) throws IOException {
        ByteBuffer all = ByteBuffer.allocate(Math.toIntExact(info(source, name).byteLength()));
        source.read(name, 0, all);
        return all.array();
    }
}
