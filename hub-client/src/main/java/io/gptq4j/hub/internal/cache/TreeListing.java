package io.gptq4j.hub.internal.cache;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.util.DefaultIndenter;
import com.fasterxml.jackson.core.util.DefaultPrettyPrinter;
import com.fasterxml.jackson.core.util.Separators;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectWriter;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.gptq4j.hub.repo.RepoFile;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * {@code trees/COMMIT.json}: all files of a commit, which never change, so that they need not be listed again and a
 * snapshot can be told from a part of one without the Hub. Format version 1 of huggingface_hub.
 */
final class TreeListing {
    private static final Logger LOG = LoggerFactory.getLogger(TreeListing.class);
    private static final int FORMAT_VERSION = 1;

    private TreeListing() {}

    /** The files in it; empty if there is no listing that we understand. */
    static Optional<List<RepoFile>> read(Path file) {
        if (!Files.isRegularFile(file)) {
            return Optional.empty();
        }
        try {
            JsonNode root = JsonMapper.builder().build().readTree(Files.readString(file));
            if (root.path("format_version").asInt() != FORMAT_VERSION
                    || !root.path("files").isObject()) {
                return Optional.empty();
            }
            List<RepoFile> files = new ArrayList<>();
            for (Map.Entry<String, JsonNode> entry : root.path("files").properties()) {
                JsonNode value = entry.getValue();
                files.add(new RepoFile(
                        entry.getKey(),
                        value.path("size").asLong(-1),
                        value.path("blob_id").asText(),
                        value.hasNonNull("lfs_sha256") ? value.get("lfs_sha256").asText() : null,
                        value.hasNonNull("xet_hash") ? value.get("xet_hash").asText() : null));
            }
            return Optional.of(files);
        } catch (IOException | IllegalArgumentException e) {
            LOG.debug("The listing {} is not used", file, e);
            return Optional.empty();
        }
    }

    /** Its text: sorted keys, one space of indentation, as Python writes it. */
    static String write(List<RepoFile> files) {
        JsonMapper mapper = JsonMapper.builder().build();
        ObjectNode root = mapper.createObjectNode();
        ObjectNode entries = root.putObject("files");
        Map<String, RepoFile> sorted = new TreeMap<>();
        files.forEach(file -> sorted.put(file.path(), file));
        for (RepoFile file : sorted.values()) {
            ObjectNode entry = entries.putObject(file.path());
            entry.put("blob_id", file.oid());
            if (file.sha256() != null) {
                entry.put("lfs_sha256", file.sha256());
                entry.put("lfs_size", file.size());
            }
            entry.put("size", file.size());
            if (file.xetHash() != null) {
                entry.put("xet_hash", file.xetHash());
            }
        }
        root.put("format_version", FORMAT_VERSION);
        Separators python = Separators.createDefaultInstance().withObjectFieldValueSpacing(Separators.Spacing.AFTER);
        ObjectWriter writer =
                mapper.writer(new DefaultPrettyPrinter(python).withObjectIndenter(new DefaultIndenter(" ", "\n")));
        try {
            return writer.writeValueAsString(root);
        } catch (JsonProcessingException e) {
            throw new IllegalStateException("A tree of strings and numbers has no JSON form", e);
        }
    }
}
