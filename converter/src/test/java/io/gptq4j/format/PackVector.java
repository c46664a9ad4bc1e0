package io.gptq4j.format;

import com.fasterxml.jackson.core.json.JsonReadFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.io.InputStream;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.zip.GZIPInputStream;

/** One golden file of src/test/resources/vectors, see the README.md there. */
record PackVector(String name, JsonNode json) {
    private static final ObjectMapper JSON = JsonMapper.builder()
            .enable(JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS) // an infinite scale in the quirks
            .build();

    static List<PackVector> all() throws IOException {
        List<PackVector> vectors = new ArrayList<>();
        for (int bits : new int[] {2, 3, 4, 8}) {
            for (String sym : List.of("sym", "asym")) {
                for (String group : List.of("g32", "g128", "gm1")) {
                    for (String order : List.of("actorder", "plain")) {
                        vectors.add(read("pack-" + bits + "bit-" + sym + "-" + group + "-" + order));
                    }
                }
            }
        }
        return vectors;
    }

    static PackVector read(String name) throws IOException {
        String resource = "/vectors/" + name + ".json.gz";
        try (InputStream file = Objects.requireNonNull(PackVector.class.getResourceAsStream(resource), resource);
                InputStream text = new GZIPInputStream(file)) {
            return new PackVector(name, JSON.readTree(text));
        }
    }

    QuantizedLinear linear() {
        int[][] q = words(json.get("q"));
        byte[][] codes = new byte[q[0].length][q.length];
        for (int i = 0; i < q.length; i++) {
            for (int o = 0; o < codes.length; o++) {
                codes[o][i] = (byte) q[i][o];
            }
        }
        int[][] wideScales = words(json.get("scales_fp16_bits"));
        int[][] wideZeros = words(json.get("zeros"));
        short[][] scales = new short[wideScales.length][codes.length];
        byte[][] zeros = new byte[wideScales.length][codes.length];
        for (int g = 0; g < scales.length; g++) {
            for (int o = 0; o < codes.length; o++) {
                scales[g][o] = (short) wideScales[g][o];
                zeros[g][o] = (byte) wideZeros[g][o];
            }
        }
        return new QuantizedLinear(
                name,
                json.get("bits").intValue(),
                json.get("group_size").intValue(),
                codes,
                scales,
                zeros,
                row(json.get("g_idx")));
    }

    int[][] expected(String tensor) {
        return words(json.get("expected").get(tensor));
    }

    static int[][] words(JsonNode matrix) {
        int[][] words = new int[matrix.size()][];
        for (int r = 0; r < words.length; r++) {
            words[r] = row(matrix.get(r));
        }
        return words;
    }

    static int[] row(JsonNode array) {
        int[] row = new int[array.size()];
        for (int i = 0; i < row.length; i++) {
            row[i] = array.get(i).intValue();
        }
        return row;
    }

    @Override
    public String toString() {
        return name;
    }
}
