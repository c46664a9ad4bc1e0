package io.gptq4j.model.families;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Sizes that transformers assumes where the {@code text_config} of a multimodal model leaves them out, as it does with all that
 * is as in the text family's own configuration class. What families assume themselves is not repeated.
 */
final class TextDefaults {
    private static final Map<String, Map<String, Object>> BY_TYPE = Map.ofEntries(
            Map.entry("llama", sizes(4096, 11008, 32, 32, 32000, 2048)),
            Map.entry("mistral", sizes(4096, 14336, 32, 32, 32000, 131072)),
            Map.entry("qwen2", sizes(4096, 22016, 32, 32, 151936, 32768)),
            Map.entry("qwen3", sizes(4096, 22016, 32, 32, 151936, 32768)),
            Map.entry("phi3", sizes(3072, 8192, 32, 32, 32064, 4096)),
            Map.entry("gemma", sizes(3072, 24576, 28, 16, 256000, 8192)),
            Map.entry("gemma2", sizes(2304, 9216, 26, 8, 256000, 8192)),
            Map.entry("gemma3_text", sizes(2304, 9216, 26, 8, 262208, 131072)),
            Map.entry("ministral", sizes(4096, 14336, 32, 32, 32000, 131072)),
            Map.entry("ministral3", sizes(4096, 14336, 34, 32, 131072, 262144)),
            Map.entry("mixtral", sizes(4096, 14336, 32, 32, 32000, 131072)),
            Map.entry("phi", sizes(2048, 8192, 24, 32, 51200, 2048)),
            Map.entry("olmo", sizes(4096, 11008, 32, 32, 50304, 2048)),
            Map.entry("olmo2", sizes(4096, 11008, 32, 32, 50304, 2048)),
            Map.entry("olmo3", sizes(4096, 11008, 32, 32, 50304, 2048)),
            Map.entry("granite", sizes(4096, 11008, 32, 32, 32000, 2048)),
            Map.entry("cohere", sizes(8192, 22528, 40, 64, 256000, 8192)),
            Map.entry("cohere2", sizes(8192, 22528, 40, 64, 256000, 8192)),
            Map.entry("smollm3", sizes(2048, 11008, 36, 16, 128256, 32768)),
            Map.entry("exaone4", sizes(4096, 16384, 32, 32, 102400, 2048)),
            Map.entry("glm", sizes(4096, 13696, 40, 32, 151552, 131072)),
            Map.entry("glm4", sizes(4096, 13696, 40, 32, 151552, 131072)),
            Map.entry("seed_oss", sizes(4096, 27648, 64, 80, 155136, 524288)),
            Map.entry("stablelm", sizes(2560, 6912, 32, 32, 50304, 4096)),
            Map.entry("starcoder2", sizes(3072, 12288, 30, 24, 49152, 4096)),
            Map.entry("nemotron", sizes(6144, 24576, 32, 48, 256000, 4096)),
            Map.entry("helium", sizes(2560, 7040, 24, 20, 48000, 4096)),
            Map.entry("arcee", sizes(2560, 18432, 32, 32, 32000, 4096)),
            Map.entry("hunyuan_v1_dense", sizes(4096, 11008, 32, 32, 290943, 2048)),
            Map.entry("ernie4_5", sizes(1024, 3072, 18, 16, 103424, 131072)),
            Map.entry("qwen2_vl_text", qwen2Vl()),
            Map.entry("qwen2_5_vl_text", qwen2Vl()),
            Map.entry(
                    "qwen3_vl_text", and(sizes(4096, 22016, 32, 32, 151936, 128000), Map.of("rope_theta", 5000000.0))),
            Map.entry(
                    "mllama_text_model",
                    and(
                            sizes(4096, 14336, 40, 32, 128256, 131072),
                            Map.of(
                                    "num_key_value_heads",
                                    8,
                                    "rms_norm_eps",
                                    1e-5,
                                    "rope_theta",
                                    500000.0,
                                    "cross_attention_layers",
                                    List.of(3, 8, 13, 18, 23, 28, 33, 38)))));

    private TextDefaults() {}

    /** The values by key; none for a type that is not known. */
    static Map<String, Object> of(String textType) {
        return BY_TYPE.getOrDefault(textType, Map.of());
    }

    private static Map<String, Object> qwen2Vl() {
        return and(
                sizes(8192, 29568, 80, 64, 152064, 32768),
                Map.of(
                        "num_key_value_heads",
                        8,
                        "rms_norm_eps",
                        1e-5,
                        "rope_theta",
                        1000000.0,
                        "max_window_layers",
                        80));
    }

    private static Map<String, Object> sizes(int hidden, int inner, int layers, int heads, int vocab, int positions) {
        return Map.of(
                "hidden_size", hidden,
                "intermediate_size", inner,
                "num_hidden_layers", layers,
                "num_attention_heads", heads,
                "vocab_size", vocab,
                "max_position_embeddings", positions);
    }

    private static Map<String, Object> and(Map<String, Object> some, Map<String, Object> more) {
        Map<String, Object> all = new LinkedHashMap<>(some);
        all.putAll(more);
        return all;
    }
}
