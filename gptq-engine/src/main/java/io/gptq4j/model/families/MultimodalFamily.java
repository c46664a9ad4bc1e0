package io.gptq4j.model.families;

import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.checkpoint.ModelConfig;
import io.gptq4j.model.Architecture;
import io.gptq4j.model.Head;
import io.gptq4j.model.ModelFamily;
import io.gptq4j.model.ModelFamily.Server;
import java.util.EnumSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.stream.IntStream;

/**
 * Models of images and text whose text model is of a family of its own: config.json has that one's keys in {@code text_config},
 * or, before transformers 4.52, beside the others, and its tensors have a longer prefix. Only the text model is read; for text
 * alone it computes what it computes without the rest.
 *
 * @param name the family's name and {@code model_type}
 * @param textType the {@code model_type} of {@code text_config} where that does not say it
 * @param flat whether the text model's keys may lie beside the others
 * @param layouts how its tensors have been named, first what stands for the families' own {@code model.}; the first layout is
 *     taken unless the checkpoint's tensors say otherwise
 * @param ignored keys of the text model that say nothing about text alone
 */
record MultimodalFamily(String name, String textType, boolean flat, List<String> layouts, List<String> ignored)
        implements ModelFamily.Reader {
    private static final List<String> OLD_FIRST = List.of("language_model.model.", "model.language_model.");
    private static final List<String> NEW_FIRST = List.of("model.language_model.", "language_model.model.");
    private static final String OLD_HEAD = "language_model.lm_head";
    private static final String HEAD = "lm_head";
    private static final List<String> QWEN = List.of("model.", "model.language_model.", "language_model.model.");

    static final ModelFamily QWEN2_VL = family(
            new MultimodalFamily("qwen2_vl", "qwen2_vl_text", true, QWEN),
            "2B, 7B, 72B; text model of qwen2",
            EnumSet.allOf(Server.class));
    static final ModelFamily QWEN2_5_VL = family(
            new MultimodalFamily("qwen2_5_vl", "qwen2_5_vl_text", true, QWEN),
            "3B to 72B; text model of qwen2",
            EnumSet.allOf(Server.class));
    static final ModelFamily QWEN3_VL = family(
            new MultimodalFamily("qwen3_vl", "qwen3_vl_text", false, NEW_FIRST),
            "dense; text model of qwen3",
            EnumSet.of(Server.VLLM, Server.TRANSFORMERS));
    static final ModelFamily LLAVA = family(
            new MultimodalFamily("llava", "llama", false, OLD_FIRST),
            "1.5, and Pixtral; text model of llama, mistral, qwen2 and others",
            EnumSet.of(Server.VLLM, Server.TRANSFORMERS));
    static final ModelFamily LLAVA_NEXT = family(
            new MultimodalFamily("llava_next", "llama", false, OLD_FIRST),
            "1.6; text model of llama, mistral, qwen2 and others",
            EnumSet.allOf(Server.class));
    static final ModelFamily LLAVA_ONEVISION = family(
            new MultimodalFamily("llava_onevision", "qwen2", false, OLD_FIRST),
            "text model of qwen2 and others",
            EnumSet.of(Server.VLLM, Server.TRANSFORMERS));
    static final ModelFamily GEMMA3 = family(
            new MultimodalFamily("gemma3_vision", "gemma3_text", false, OLD_FIRST),
            List.of("gemma3"),
            "4B, 12B, 27B; text model of gemma3_text",
            EnumSet.allOf(Server.class));
    static final ModelFamily MISTRAL3 = family(
            new MultimodalFamily("mistral3", "mistral", false, OLD_FIRST),
            "Small 3.1 and 3.2, Ministral 3; text model of mistral or ministral3",
            EnumSet.of(Server.VLLM, Server.TRANSFORMERS));
    static final ModelFamily PALIGEMMA = family(
            new MultimodalFamily(
                    "paligemma",
                    "gemma",
                    false,
                    OLD_FIRST,
                    List.of("use_bidirectional_attention")), // of images and the prompt, not of the text that follows
            "1 and 2; text model of gemma or gemma2",
            EnumSet.allOf(Server.class));
    static final ModelFamily MLLAMA = family(
            new MultimodalFamily("mllama", "mllama_text_model", false, OLD_FIRST),
            "Llama 3.2 Vision; layers that look at images are carried along, as text alone skips them",
            EnumSet.allOf(Server.class));

    private static final String TIED = "tie_word_embeddings";

    /**
     * A text model that only exists within others.
     *
     * @param family the {@code model_type} as which it is read
     * @param skipped the key that lists the layers that text skips
     * @param extraRows of the embedding, after those of the vocabulary
     */
    private record TextModel(String family, Optional<String> skipped, int extraRows) {
        /** One that is the family's own but for its name. */
        TextModel(String family) {
            this(family, Optional.empty(), 0);
        }
    }

    private static final Map<String, TextModel> TEXT_MODELS = Map.of(
            "qwen2_vl_text", new TextModel("qwen2"),
            "qwen2_5_vl_text", new TextModel("qwen2"),
            "qwen3_vl_text", new TextModel("qwen3"),
            "mllama_text_model", new TextModel("llama", Optional.of("cross_attention_layers"), 8)); // rows for images

    MultimodalFamily(String name, String textType, boolean flat, List<String> layouts) {
        this(name, textType, flat, layouts, List.of());
    }

    private static ModelFamily family(MultimodalFamily reader, String variants, Set<Server> servers) {
        return family(reader, List.of(reader.name), variants, servers);
    }

    private static ModelFamily family(
            MultimodalFamily reader, List<String> types, String variants, Set<Server> servers) {
        return new ModelFamily(reader.name, types, variants, servers, reader);
    }

    @Override
    public ModelFamily.Reading read(ModelConfig config) throws CheckpointException {
        return read(config, Set.of());
    }

    @Override
    public ModelFamily.Reading read(ModelConfig config, Set<String> tensors) throws CheckpointException {
        Optional<ModelConfig> nested = config.object("text_config");
        if (nested.isEmpty() && !flat) {
            throw new CheckpointException(config.origin() + ": key 'text_config' is missing, expected the keys of the"
                    + " text model of model_type \"" + name + "\"");
        }
        ModelConfig text = nested.orElse(config);
        String said = nested.isPresent() ? text.stringValue("model_type", textType) : textType;
        String type = said.equals(config.modelType()) ? textType : said;
        TextModel model = TEXT_MODELS.getOrDefault(type, new TextModel(type));
        Map<String, Object> values = textValues(config, text, type);
        values.put("model_type", model.family());
        List<?> skipped =
                model.skipped().map(values::remove).orElse(List.of()) instanceof List<?> list ? list : List.of();
        if (!skipped.isEmpty()) {
            int layers = text.with(values).intValue("num_hidden_layers");
            values.put("num_hidden_layers", (int) IntStream.range(0, layers)
                    .filter(layer -> !skipped.contains(layer))
                    .count());
        }
        ModelConfig own = text.with(values);
        ModelFamily.Reading reading =
                ModelFamilies.reading(nested.isPresent() ? own : own.readAs(model.family()), Map.of());
        return new ModelFamily.Reading(
                within(reading.architecture(), model, skipped, config, tensors), reading.warnings());
    }

    /** The text model's config, complete: what it leaves out is as beside it, or as transformers assumes it. */
    private Map<String, Object> textValues(ModelConfig config, ModelConfig text, String type)
            throws CheckpointException {
        Map<String, Object> values = new LinkedHashMap<>(text.values());
        for (String key : ComputationKeys.all()) {
            if (!values.containsKey(key) && config.has(key)) {
                values.put(key, config.values().get(key));
            }
        }
        if (config.booleanValue(TIED, false)) {
            values.putIfAbsent(TIED, true);
        }
        ignored.forEach(values::remove);
        values.remove("vision_config"); // beside the text model's keys where these are not nested
        TextDefaults.of(type).forEach((key, value) -> {
            if (!values.containsKey(key) && !(key.equals("rope_theta") && values.get("rope_parameters") != null)) {
                values.put(key, value);
            }
        });
        withoutSections(values, "rope_scaling");
        withoutSections(values, "rope_parameters");
        return values;
    }

    /** The text model under the names that its tensors have in the checkpoint. */
    private Architecture within(
            Architecture alone, TextModel model, List<?> skipped, ModelConfig config, Set<String> tensors)
            throws CheckpointException {
        String layout = layout(tensors);
        List<Integer> numbers = IntStream.iterate(0, number -> number + 1)
                .filter(number -> !skipped.contains(number))
                .limit(alone.layers())
                .boxed()
                .toList();
        Architecture whole = alone.within(name, layout, base(layout), head(layout, tensors), numbers);
        return whole.withHead(whole.head().withTied(tied(whole.head(), config, tensors)))
                .withEmbedding(whole.embedding().withExtraRows(model.extraRows()));
    }

    /**
     * Positions in three dimensions, time, height and width, each of which turns its own section of a head's channels. In text
     * all three are the same, so that it does not matter which is which.
     */
    private static void withoutSections(Map<String, Object> values, String key) {
        if (values.get(key) instanceof Map<?, ?> rope && rope.containsKey("mrope_section")) {
            Map<String, Object> plain = new LinkedHashMap<>();
            rope.forEach((name, value) -> {
                if (!name.equals("mrope_section") && !name.equals("mrope_interleaved")) {
                    plain.put(String.valueOf(name), "mrope".equals(value) ? "default" : value);
                }
            });
            values.put(key, plain);
        }
    }

    private String layout(Set<String> tensors) {
        for (String layout : layouts) {
            String bare = layout.substring(base(layout).length());
            boolean whole = tensors.stream().anyMatch(tensor -> tensor.startsWith(layout + "layers."));
            if (whole || (!bare.isEmpty() && tensors.stream().anyMatch(t -> t.startsWith(bare + "layers.")))) {
                return layout;
            }
        }
        return layouts.get(0);
    }

    private static String base(String layout) {
        return layout.startsWith("model.") ? "model." : "";
    }

    /**
     * Whether the head is the embedding. Releases of transformers disagree on whose {@code tie_word_embeddings} counts where the
     * text model and the whole do not say the same; all leave a tied head out when they save, and none an own one.
     */
    private static boolean tied(Head head, ModelConfig config, Set<String> tensors) throws CheckpointException {
        if (tensors.isEmpty()) {
            return head.tied();
        }
        return has(tensors, head.name())
                ? head.tied() && config.booleanValue(TIED, true)
                : head.tied() || config.booleanValue(TIED, false);
    }

    private static boolean has(Set<String> tensors, String module) {
        return tensors.stream().anyMatch(tensor -> tensor.startsWith(module + "."));
    }

    private static String head(String layout, Set<String> tensors) {
        boolean old = layout.startsWith("language_model.");
        String usual = old ? OLD_HEAD : HEAD;
        String other = old ? HEAD : OLD_HEAD;
        boolean renamed = !has(tensors, usual) && has(tensors, other);
        return renamed ? other : usual;
    }
}
