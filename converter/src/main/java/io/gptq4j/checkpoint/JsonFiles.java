package io.gptq4j.checkpoint;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.StreamReadFeature;
import com.fasterxml.jackson.core.json.JsonReadFeature;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.ObjectReader;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;

/** The small JSON files of a repository: one strict object each, into JDK types. */
final class JsonFiles {
    /** Real ones reach some ten megabytes (the index of a model with many experts). */
    private static final long LARGEST = 256L << 20;

    private static final ObjectReader OBJECT = JsonMapper.builder()
            .enable(StreamReadFeature.STRICT_DUPLICATE_DETECTION)
            .enable(JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS)
            .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
            .build()
            .readerForMapOf(Object.class);

    private JsonFiles() {}

    /** The object in {@code file}, in the file's order: Map, List, String, Integer, Long, BigInteger, Double, Boolean. */
    static Map<String, Object> readObject(Path file) throws IOException {
        long size = Files.size(file);
        if (size > LARGEST) {
            throw new CheckpointException(file + " has " + size + " bytes, far too many for a JSON file of a model");
        }
        try {
            String text = StandardCharsets.UTF_8
                    .newDecoder()
                    .decode(ByteBuffer.wrap(Files.readAllBytes(file)))
                    .toString();
            if (text.startsWith("version https://git-lfs")) {
                throw new CheckpointException(file + " is a Git LFS pointer, not the file itself: fetch the file");
            }
            if (!text.stripLeading().startsWith("{")) {
                throw new CheckpointException(file + " is not a JSON object");
            }
            return OBJECT.<LinkedHashMap<String, Object>>readValue(text);
        } catch (CharacterCodingException e) {
            throw new CheckpointException(file + " is not valid UTF-8", e);
        } catch (JsonProcessingException e) {
            throw new CheckpointException(
                    file + " is not valid JSON: " + e.getOriginalMessage() + " at line "
                            + e.getLocation().getLineNr(),
                    e);
        }
    }
}
