package io.gptq4j.card;

import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.jspecify.annotations.Nullable;

/**
 * The README.md of a quantized repository, made of the source's.
 *
 * <p>The author's front matter stays byte for byte, but for these keys:
 *
 * <ul>
 *   <li>{@code base_model} and {@code base_model_relation: quantized} take the place of the author's, because the Hub
 *       guesses the relation where it is missing. If the source's repository is not known, both go: what the source was
 *       made of is not what this was made of.
 *   <li>{@code tags} get ours in addition; {@code library_name} and {@code pipeline_tag} come if they are missing.
 *   <li>{@code model-index} goes: the Hub would show the float model's scores as those of the quantized one. All else
 *       (licence, languages, data sets, terms of access, examples for the widget) is as true as it was.
 * </ul>
 *
 * <p>Below come our section and the author's text as it was. A section of an earlier card is replaced.
 *
 * @param text the whole new file
 * @param warnings sentences about what the source's card has lost; empty in most cases
 */
public record ModelCard(String text, List<String> warnings) {
    /** Its name in every repository. */
    public static final String FILE_NAME = "README.md";

    /** Copies the warnings. */
    public ModelCard {
        warnings = List.copyOf(warnings);
    }

    /**
     * Makes the card.
     *
     * @param source the bytes of the source's README.md, or null if there is none; anything is accepted
     * @param facts what to say
     */
    public static ModelCard of(byte @Nullable [] source, CardFacts facts) {
        List<String> warnings = new ArrayList<>();
        String readme = source == null ? "" : decode(source, warnings);
        FrontMatter original = original(readme, warnings);
        FrontMatter edited = edited(original, facts).orElseGet(() -> {
            warnings.add(
                    "The front matter of the source's README.md is not a YAML mapping that can be added to" + LOST);
            FrontMatter fresh = FrontMatter.above(readme);
            return edited(fresh, facts).orElseThrow();
        });
        String body = CardSection.removeFrom(edited.body());
        String section = CardSection.of(facts, !body.isBlank()).replace("\n", edited.lineEnd());
        return new ModelCard(edited.opening() + edited.yaml() + edited.closing() + section + body, warnings);
    }

    private static final String LOST = "; none of it was taken over, not even a licence, which the new README.md does"
            + " not name now: look at its end and add what is missing at its start";

    private static String decode(byte[] source, List<String> warnings) {
        String text;
        try {
            text = StandardCharsets.UTF_8
                    .newDecoder()
                    .decode(ByteBuffer.wrap(source))
                    .toString();
        } catch (CharacterCodingException e) {
            warnings.add("The source's README.md is not UTF-8; it was read as Windows-1252");
            text = new String(source, Charset.forName("windows-1252"));
        }
        return text.startsWith("\ufeff") ? text.substring(1) : text; // behind a mark, the Hub sees no front matter
    }

    private static FrontMatter original(String readme, List<String> warnings) {
        Optional<FrontMatter> found = FrontMatter.find(readme);
        if (found.isEmpty() && FrontMatter.begins(readme)) {
            warnings.add("The front matter of the source's README.md has no end (a line of three dashes)" + LOST);
        }
        return found.orElseGet(() -> FrontMatter.above(readme));
    }

    /** The front matter with our keys; nothing if there is no way to put them in. */
    private static Optional<FrontMatter> edited(FrontMatter original, CardFacts facts) {
        return YamlMapping.parse(original.yaml())
                .flatMap(mapping -> {
                    YamlEditor editor = new YamlEditor(mapping, original.lineEnd());
                    String base = facts.source().repoId();
                    if (base != null) {
                        // Without a namespace it may read as a number.
                        editor.set("base_model", base.contains("/") ? base : '"' + base + '"');
                        editor.set("base_model_relation", "quantized");
                    } else {
                        editor.remove("base_model");
                        editor.remove("base_model_relation");
                    }
                    editor.setIfAbsent("library_name", "transformers");
                    editor.setIfAbsent("pipeline_tag", "text-generation");
                    editor.addToList("tags", List.of("gptq", facts.options().width(), "quantized"));
                    editor.remove("model-index");
                    return editor.result();
                })
                .map(original::withYaml);
    }
}
