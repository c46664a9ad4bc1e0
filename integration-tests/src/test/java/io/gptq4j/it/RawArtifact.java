package io.gptq4j.it;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Iterator;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.stream.Stream;

/**
 * An artifact as its bytes say, read with nothing of the program under test: the safetensors format by its README, the
 * packing by AutoGPTQ's, bit for bit.
 */
final class RawArtifact {
    /** Every tensor of every weight file. */
    final Map<String, Raw> tensors = new TreeMap<>();
    /** config.json. */
    final JsonNode config;

    private final int bits;

    /** A tensor's bytes, little-endian. */
    record Raw(String dtype, int[] shape, ByteBuffer bytes) {}

    /**
     * A quantized module, unpacked.
     *
     * @param codes [out][in]
     * @param scales [groups][out]
     * @param zeros [groups][out]
     * @param gIdx [in]
     */
    record Module(int[][] codes, float[][] scales, int[][] zeros, int[] gIdx) {
        /** The weight [out][in]. */
        float[][] weight() {
            float[][] weight = new float[codes.length][gIdx.length];
            for (int o = 0; o < codes.length; o++) {
                for (int i = 0; i < gIdx.length; i++) {
                    weight[o][i] = scales[gIdx[i]][o] * (codes[o][i] - zeros[gIdx[i]][o]);
                }
            }
            return weight;
        }
    }

    private RawArtifact(JsonNode config) {
        this.config = config;
        this.bits = config.path("quantization_config").path("bits").asInt();
    }

    static RawArtifact read(Path directory) throws IOException {
        RawArtifact artifact = new RawArtifact(
                TinyModel.JSON.readTree(directory.resolve("config.json").toFile()));
        try (Stream<Path> files = Files.list(directory)) {
            for (Path file :
                    files.filter(f -> f.toString().endsWith(".safetensors")).toList()) {
                artifact.readFile(file);
            }
        }
        return artifact;
    }

    private void readFile(Path file) throws IOException {
        ByteBuffer content = ByteBuffer.wrap(Files.readAllBytes(file)).order(ByteOrder.LITTLE_ENDIAN);
        byte[] json = new byte[Math.toIntExact(content.getLong())];
        content.get(json);
        JsonNode header = TinyModel.JSON.readTree(new String(json, UTF_8));
        assertThat(header.path("__metadata__").path("format").asText()).isEqualTo("pt");
        Iterator<Map.Entry<String, JsonNode>> entries = header.fields();
        while (entries.hasNext()) {
            Map.Entry<String, JsonNode> entry = entries.next();
            if (!entry.getKey().equals("__metadata__")) {
                JsonNode tensor = entry.getValue();
                int[] shape = new int[tensor.path("shape").size()];
                for (int d = 0; d < shape.length; d++) {
                    shape[d] = tensor.path("shape").get(d).asInt();
                }
                int begin = tensor.path("data_offsets").get(0).asInt();
                int end = tensor.path("data_offsets").get(1).asInt();
                ByteBuffer bytes = content.slice(8 + json.length + begin, end - begin);
                Raw old =
                        tensors.put(entry.getKey(), new Raw(tensor.path("dtype").asText(), shape, bytes));
                assertThat(old).as("two tensors named %s", entry.getKey()).isNull();
            }
        }
    }

    /** A tensor that is there. */
    Raw tensor(String name) {
        return Objects.requireNonNull(tensors.get(name), name);
    }

    /** Unpacks a module. Codes lie in a stream of bits along the inputs, zero points, less one, along the outputs. */
    Module module(String name) {
        Raw qweight = tensor(name + ".qweight");
        Raw qzeros = tensor(name + ".qzeros");
        Raw scales = tensor(name + ".scales");
        Raw gIdx = tensor(name + ".g_idx");
        int in = gIdx.shape[0];
        int out = scales.shape[1];
        int groups = scales.shape[0];
        assertThat(qweight.shape).as("%s.qweight", name).containsExactly(in * bits / 32, out);
        assertThat(qzeros.shape).as("%s.qzeros", name).containsExactly(groups, out * bits / 32);
        int[][] codes = new int[out][in];
        int[][] zeros = new int[groups][out];
        float[][] scale = new float[groups][out];
        for (int o = 0; o < out; o++) {
            for (int i = 0; i < in; i++) {
                codes[o][i] = value(qweight.bytes, o, out, i);
            }
            for (int g = 0; g < groups; g++) {
                zeros[g][o] = value(qzeros.bytes, g * (out * bits / 32), 1, o) + 1 & (1 << bits) - 1;
                scale[g][o] = half(shortAt(scales.bytes, g * out + o));
            }
        }
        int[] groupOf = new int[in];
        for (int i = 0; i < in; i++) {
            groupOf[i] = intAt(gIdx.bytes, i);
        }
        return new Module(codes, scale, zeros, groupOf);
    }

    /** Value {@code k} of the stream whose word w is word {@code first + w * stride} of the bytes. */
    private int value(ByteBuffer bytes, int first, int stride, int k) {
        int value = 0;
        for (int b = 0; b < bits; b++) {
            int position = k * bits + b;
            int word = intAt(bytes, first + position / 32 * stride);
            value |= (word >>> position % 32 & 1) << b;
        }
        return value;
    }

    /** The values of an F16 or BF16 tensor. */
    float[] floats(String name) {
        Raw raw = tensor(name);
        assertThat(raw.dtype).isIn("F16", "BF16");
        float[] values = new float[raw.bytes.capacity() / 2];
        for (int i = 0; i < values.length; i++) {
            short bits = shortAt(raw.bytes, i);
            values[i] = raw.dtype.equals("F16") ? half(bits) : Float.intBitsToFloat(bits << 16);
        }
        return values;
    }

    static int intAt(ByteBuffer bytes, int index) {
        return bytes.order(ByteOrder.LITTLE_ENDIAN).getInt(4 * index);
    }

    static short shortAt(ByteBuffer bytes, int index) {
        return bytes.order(ByteOrder.LITTLE_ENDIAN).getShort(2 * index);
    }

    /** IEEE 754 binary16 by its definition. */
    static float half(short bits) {
        int exponent = bits >> 10 & 31;
        int fraction = bits & 1023;
        double magnitude = exponent == 0
                ? fraction * 0x1p-24
                : exponent == 31
                        ? fraction == 0 ? Double.POSITIVE_INFINITY : Double.NaN
                        : (1024 + fraction) * Math.pow(2, exponent - 25);
        return (float) (bits < 0 ? -magnitude : magnitude);
    }
}
