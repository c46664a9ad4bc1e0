package io.gptq4j.it.hub;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import java.util.Map;
import java.util.zip.GZIPOutputStream;
import org.jspecify.annotations.Nullable;

/** Status, headers and a part of a content. */
final class Answer {
    private static final String TEXT = "text/plain; charset=utf-8";

    private final int status;
    private final Headers headers = new Headers();
    private Content content;
    private long offset;
    private long length;

    private Answer(int status, String contentType, Content content) {
        this.status = status;
        this.content = content;
        this.length = content.size();
        headers.add("Content-Type", contentType);
        headers.add("Content-Length", Long.toString(length));
    }

    static Answer of(int status, String contentType, Content content) {
        return new Answer(status, contentType, content);
    }

    static Answer json(int status, Object body) {
        return new Answer(status, "application/json; charset=utf-8", Content.of(Json.bytes(body)));
    }

    static Answer lfsJson(int status, Object body) {
        return new Answer(status, "application/vnd.git-lfs+json", Content.of(Json.bytes(body)));
    }

    static Answer text(int status, String body) {
        return new Answer(status, TEXT, Content.of(body.getBytes(StandardCharsets.UTF_8)));
    }

    /** The way object storage refuses. */
    static Answer xmlError(int status, String code, String message) {
        String body = "<Error><Code>" + code + "</Code><Message>" + message + "</Message></Error>";
        return new Answer(status, "application/xml", Content.of(body.getBytes(StandardCharsets.UTF_8)));
    }

    static Answer redirect(int status, String location) {
        String phrase = status == 302 ? "Found" : "Temporary Redirect";
        return text(status, phrase + ". Redirecting to " + location).header("Location", location);
    }

    static Answer error(HubError error) {
        Answer answer = json(error.status(), Map.of("error", error.text()));
        answer.header("X-Error-Message", error.text());
        if (error.code() != null) {
            answer.header("X-Error-Code", error.code());
        }
        if (error.repoCommit() != null) {
            answer.header("X-Repo-Commit", error.repoCommit());
        }
        if (error.status() == 401) {
            answer.header("WWW-Authenticate", "Bearer realm=\"Authentication required\", charset=\"UTF-8\"");
        }
        return answer;
    }

    Answer header(String name, String value) {
        headers.set(name, value);
        return this;
    }

    /** Leaves only this part of the body, Content-Length included. */
    Answer part(long from, long size) {
        offset += from;
        length = size;
        return header("Content-Length", Long.toString(size));
    }

    /** Changes the body as the fault says. */
    void gzipOrShorten(Fault fault) {
        if (fault.gzip) {
            gzip();
        }
        if (fault.shortBody) {
            part(0, length / 2);
        }
        if (fault.contentLength >= 0) {
            header("Content-Length", Long.toString(fault.contentLength));
        }
    }

    /** Replaces the body by its compressed form in chunks, as a web server does that compresses as it goes. */
    private void gzip() {
        ByteArrayOutputStream packed = new ByteArrayOutputStream();
        ByteArrayOutputStream framed = new ByteArrayOutputStream();
        try {
            try (OutputStream zip = new GZIPOutputStream(packed)) {
                zip.write(content.read(), Math.toIntExact(offset), Math.toIntExact(length));
            }
            framed.writeBytes((Integer.toHexString(packed.size()) + "\r\n").getBytes(StandardCharsets.US_ASCII));
            packed.writeTo(framed);
            framed.writeBytes("\r\n0\r\n\r\n".getBytes(StandardCharsets.US_ASCII));
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        content = Content.of(framed.toByteArray());
        offset = 0;
        length = content.size();
        headers.remove("Content-Length");
        header("Content-Encoding", "gzip").header("Transfer-Encoding", "chunked");
    }

    /** The body when it is text of at most this many bytes, else null. */
    @Nullable
    String textWithin(int bytes) {
        String type = String.valueOf(headers.get("Content-Type")).toLowerCase(Locale.ROOT);
        boolean textual = type.contains("json") || type.startsWith("text/") || type.contains("xml");
        if (!textual || !content.inMemory() || length > bytes || headers.has("Content-Encoding")) {
            return null;
        }
        try {
            return new String(content.read(), Math.toIntExact(offset), Math.toIntExact(length), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    int status() {
        return status;
    }

    Headers headers() {
        return headers;
    }

    Content content() {
        return content;
    }

    long offset() {
        return offset;
    }

    long length() {
        return length;
    }
}
