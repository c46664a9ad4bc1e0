package io.gptq4j.format;

import io.gptq4j.checkpoint.Checkpoint;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/** The files of an artifact that are not weights. All are durable when their method returns. */
final class RepositoryFiles {
    private static final Set<String> CARRIED = Set.of(
            "tokenizer.json",
            "tokenizer_config.json",
            "special_tokens_map.json",
            "added_tokens.json",
            "vocab.json",
            "merges.txt",
            "tokenizer.model",
            "spiece.model",
            "tiktoken.model",
            "chat_template.jinja",
            "chat_template.json",
            "generation_config.json",
            "preprocessor_config.json",
            "processor_config.json");
    private static final List<String> CARRIED_PREFIXES = List.of("license", "notice", "use_policy");

    private RepositoryFiles() {}

    /** Writes config.json and quantize_config.json, which hold the same quantization object. */
    static void writeConfigs(Path directory, ArtifactWriter.Plan plan) throws IOException {
        Map<String, @Nullable Object> config =
                new LinkedHashMap<>(plan.source().config().values());
        config.putAll(plan.configEntries());
        config.remove("base_model_name_or_path"); // TGI would download that repository, too
        if (config.containsKey("dtype")) { // transformers 5 writes this name and still reads the old one
            config.put("dtype", "float16");
        }
        config.put("torch_dtype", "float16");
        config.put("tie_word_embeddings", plan.tieWordEmbeddings());
        config.put(QuantizeConfig.CONFIG_KEY, plan.config().toMap());
        write(directory.resolve("config.json"), JsonText.of(config));
        write(directory.resolve(QuantizeConfig.FILE_NAME), plan.config().toJson());
    }

    static void write(Path file, String text) throws IOException {
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
            ByteBuffer bytes = ByteBuffer.wrap(text.getBytes(StandardCharsets.UTF_8));
            while (bytes.hasRemaining()) {
                channel.write(bytes);
            }
            channel.force(true);
        }
    }

    /** Copies what a user of the model needs besides the weights: tokenizer, generation settings, code and licence. */
    static void copyCarried(Checkpoint source, Path directory) throws IOException {
        List<Path> files;
        try (Stream<Path> content = Files.list(source.directory())) {
            files = content.filter(file -> isCarried(String.valueOf(file.getFileName())))
                    .filter(Files::isRegularFile) // through links, which is what a hub cache consists of
                    .sorted()
                    .toList();
        }
        for (Path file : files) {
            Path copy = directory.resolve(String.valueOf(file.getFileName()));
            Files.copy(file, copy);
            try (FileChannel channel = FileChannel.open(copy, StandardOpenOption.WRITE)) {
                channel.force(true);
            }
        }
    }

    private static boolean isCarried(String name) {
        String lower = name.toLowerCase(Locale.ROOT);
        return CARRIED.contains(name)
                || name.endsWith(".py")
                || name.endsWith(".tiktoken")
                || CARRIED_PREFIXES.stream().anyMatch(lower::startsWith);
    }
}
