package io.gptq4j.hub.internal.upload;

import com.fasterxml.jackson.databind.node.ObjectNode;
import io.gptq4j.hub.error.HubException;
import io.gptq4j.hub.internal.http.Json;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.Base64;
import java.util.List;
import okhttp3.MediaType;
import okhttp3.RequestBody;
import okio.BufferedSink;
import org.jspecify.annotations.Nullable;

/**
 * The body of a commit: one JSON object a line, the header first. The content of files is read and encoded while it is sent,
 * so a commit of any size takes little memory. Said to be for one shot, so that OkHttp sends it no second time by itself.
 */
final class CommitBody extends RequestBody {
    private static final MediaType NDJSON = MediaType.get("application/x-ndjson");
    private static final String FILE_START = "{\"key\":\"file\",\"value\":{\"content\":\"";
    /** A multiple of 3, so that pieces of base64 join without padding between them. */
    private static final int PIECE = 3 << 16;

    private final List<Line> lines = new ArrayList<>();

    /** A line, with the content of a file between its two halves if there is one. */
    private record Line(byte[] start, @Nullable LocalContent content, byte[] end) {}

    /** Begins with the message, and the commit that must be the head, if one must. */
    CommitBody(String summary, String description, @Nullable String parentCommit) {
        ObjectNode value = Json.object().put("summary", summary).put("description", description);
        if (parentCommit != null) {
            value.put("parentCommit", parentCommit);
        }
        add("header", value);
    }

    /** Adds a file with its content. */
    void file(LocalContent content) {
        String end = "\",\"path\":" + Json.object().textNode(content.path()) + ",\"encoding\":\"base64\"}}\n";
        lines.add(new Line(FILE_START.getBytes(StandardCharsets.UTF_8), content, end.getBytes(StandardCharsets.UTF_8)));
    }

    /** Adds a file whose content is in LFS storage; without a size for a copy of one. */
    void lfsFile(String path, String sha256, @Nullable Long size) {
        ObjectNode value = Json.object().put("path", path).put("algo", "sha256").put("oid", sha256);
        if (size != null) {
            value.put("size", size);
        }
        add("lfsFile", value);
    }

    /** Removes a file or a folder. */
    void deleted(String path, boolean isFolder) {
        add(isFolder ? "deletedFolder" : "deletedFile", Json.object().put("path", path));
    }

    private void add(String key, ObjectNode value) {
        ObjectNode line = Json.object().put("key", key);
        line.set("value", value);
        lines.add(new Line((line + "\n").getBytes(StandardCharsets.UTF_8), null, new byte[0]));
    }

    @Override
    public MediaType contentType() {
        return NDJSON;
    }

    @Override
    public long contentLength() {
        long length = 0;
        for (Line line : lines) {
            length += line.start.length + line.end.length;
            if (line.content != null) {
                length += (line.content.size() + 2) / 3 * 4;
            }
        }
        return length;
    }

    @Override
    public boolean isOneShot() {
        return true;
    }

    @Override
    public void writeTo(BufferedSink sink) throws IOException {
        for (Line line : lines) {
            sink.write(line.start);
            if (line.content != null) {
                write(line.content, sink);
            }
            sink.write(line.end);
        }
    }

    private static void write(LocalContent content, BufferedSink sink) throws IOException {
        long sent = 0;
        try (InputStream in = open(content)) {
            for (byte[] piece = read(content, in);
                    piece.length > 0 && sent <= content.size();
                    piece = read(content, in)) {
                sink.write(Base64.getEncoder().encode(piece));
                sent += piece.length;
            }
        }
        if (sent != content.size()) {
            throw new HubException(content.source() + " has changed while it was uploaded; upload it again");
        }
    }

    /** A failure of this disk must not pass for one of the network, which would be tried again. */
    private static InputStream open(LocalContent content) throws HubException {
        try {
            return Files.newInputStream(content.source());
        } catch (IOException e) {
            throw new HubException("Cannot read " + content.source() + ": " + e, e);
        }
    }

    private static byte[] read(LocalContent content, InputStream in) throws HubException {
        try {
            return in.readNBytes(PIECE);
        } catch (IOException e) {
            throw new HubException("Cannot read " + content.source() + ": " + e, e);
        }
    }
}
