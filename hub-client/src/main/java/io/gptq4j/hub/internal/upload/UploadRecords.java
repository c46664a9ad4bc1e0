package io.gptq4j.hub.internal.upload;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.gptq4j.hub.internal.http.Json;
import io.gptq4j.hub.internal.io.AtomicFiles;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileTime;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.UUID;
import java.util.stream.Stream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Large uploads that are under way, on disk: which parts the store has, so that a process that was killed does not send them
 * again. A record is one line of JSON with the addresses and then a line for each part, appended when the store has it. The
 * addresses are signed, hence only the owner may read the records. All of this is as well as possible: without a record an
 * upload begins anew. Safe for concurrent use.
 */
final class UploadRecords {
    private static final Logger LOG = LoggerFactory.getLogger(UploadRecords.class);
    private static final Duration KEPT = Duration.ofDays(7);

    private final Path folder;

    /** Records below HF_HOME. */
    UploadRecords(Path home) {
        folder = home.resolve("gptq4j").resolve("uploads");
    }

    /** What is known of the upload of one object to one repository. */
    Optional<Multipart> read(String repo, String sha256, long size) {
        Path file = file(repo, sha256);
        if (!Files.isRegularFile(file)) {
            return Optional.empty();
        }
        try {
            String text = Files.readString(file);
            // A line without its end was being written when the process was killed.
            List<String> lines =
                    text.substring(0, text.lastIndexOf('\n') + 1).lines().toList();
            JsonNode json = Json.read(lines.get(0));
            Map<Integer, String> addresses = new TreeMap<>();
            json.path("parts")
                    .properties()
                    .forEach(part -> addresses.put(
                            Integer.valueOf(part.getKey()), part.getValue().asText()));
            Map<Integer, String> etags = new TreeMap<>();
            for (String line : lines.subList(1, lines.size())) {
                int space = line.indexOf(' ');
                etags.put(Integer.valueOf(line.substring(0, space)), line.substring(space + 1));
            }
            Multipart multipart = new Multipart(
                    json.path("href").asText(), json.path("chunk_size").asLong(), addresses, etags);
            return json.path("size").asLong() == size && multipart.fits(size)
                    ? Optional.of(multipart)
                    : Optional.empty();
        } catch (IOException | IllegalArgumentException | IndexOutOfBoundsException e) {
            LOG.debug("The record {} is not used", file, e);
            return Optional.empty();
        }
    }

    /** Begins the record of an upload, with the parts that the store has. */
    void write(String repo, String sha256, long size, Multipart multipart) {
        ObjectNode json =
                Json.object().put("size", size).put("href", multipart.href()).put("chunk_size", multipart.chunkSize());
        ObjectNode parts = json.putObject("parts");
        multipart.addresses().forEach((number, address) -> parts.put(String.valueOf(number), address));
        StringBuilder text = new StringBuilder(json.toString()).append('\n');
        multipart.etags().forEach((number, etag) -> text.append(line(number, etag)));
        try {
            AtomicFiles.writePrivate(file(repo, sha256), text.toString());
            deleteOld();
        } catch (IOException e) {
            LOG.debug("No record of an upload in {}", folder, e);
        }
    }

    /** Adds a part that the store has. */
    void append(String repo, String sha256, int part, String etag) {
        try {
            Files.writeString(
                    file(repo, sha256), line(part, etag), StandardOpenOption.WRITE, StandardOpenOption.APPEND);
        } catch (IOException e) {
            LOG.debug("No record of a part in {}", folder, e);
        }
    }

    /** Forgets an upload, and what a process left that was killed while it wrote its record. */
    void delete(String repo, String sha256) {
        Path record = file(repo, sha256);
        if (!Files.isDirectory(folder)) {
            return;
        }
        try (DirectoryStream<Path> files = Files.newDirectoryStream(folder, record.getFileName() + "*")) {
            for (Path file : files) {
                Files.deleteIfExists(file);
            }
        } catch (IOException | DirectoryIteratorException e) {
            LOG.debug("A record of an upload stays in {}", folder, e);
        }
    }

    private static String line(int part, String etag) {
        return part + " " + etag + "\n";
    }

    private void deleteOld() throws IOException {
        FileTime oldest = FileTime.from(Instant.now().minus(KEPT));
        try (Stream<Path> files = Files.list(folder)) {
            for (Path file : files.toList()) {
                if (Files.getLastModifiedTime(file).compareTo(oldest) < 0) {
                    Files.deleteIfExists(file);
                }
            }
        }
    }

    private Path file(String repo, String sha256) {
        UUID where = UUID.nameUUIDFromBytes(repo.getBytes(StandardCharsets.UTF_8));
        return folder.resolve(sha256 + "." + where + ".record");
    }
}
