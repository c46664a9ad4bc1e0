package io.gptq4j.it.hub;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import org.jspecify.annotations.Nullable;

/** The object storage behind the hub: signed URLs, no tokens. */
final class Storage implements Connection.Handler {
    private static final String CDN = "/_cdn/";
    private static final String UPLOADS = "/_s3/";
    private static final long MOST_PER_PUT = 5_000_000_000L;

    private final HubState state;
    private final Uploads uploads;

    Storage(HubState state, Uploads uploads) {
        this.state = state;
        this.uploads = uploads;
    }

    static boolean owns(String path) {
        return path.startsWith(CDN) || path.startsWith(UPLOADS);
    }

    Uploads uploads() {
        return uploads;
    }

    @Override
    public Answer handle(Request request) throws IOException, InterruptedException {
        if (!owns(request.path())) {
            return Answer.xmlError(404, "NoSuchKey", "The specified key does not exist.");
        }
        if (request.headers().has("Authorization")) {
            return Answer.xmlError(
                    400,
                    "InvalidArgument",
                    "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string"
                            + " parameter or the Authorization header should be specified");
        }
        if (!state.signatures().sign(request.path()).equals(request.param("Signature"))) {
            return Answer.xmlError(403, "AccessDenied", "Request has expired or is not signed");
        }
        if (request.path().startsWith(CDN)) {
            return request.isRead() ? object(request) : notAllowed();
        }
        return request.method().equals("PUT") ? put(request) : notAllowed();
    }

    private static Answer notAllowed() {
        return Answer.xmlError(405, "MethodNotAllowed", "The specified method is not allowed against this resource.");
    }

    private Answer object(Request request) {
        String sha256 = request.path().substring(CDN.length());
        Content content = state.lfs().get(sha256);
        if (content == null) {
            return Answer.xmlError(404, "NoSuchKey", "The specified key does not exist.");
        }
        Answer whole = Answer.of(200, "application/octet-stream", content)
                .header("ETag", "\"" + sha256.substring(0, 32) + "\"")
                .header("Accept-Ranges", "bytes");
        String disposition = request.param("response-content-disposition");
        if (disposition != null) {
            whole.header("Content-Disposition", disposition);
        }
        return Ranges.apply(request, whole);
    }

    /** {@code /_s3/upload} for a whole object, {@code /_s3/upload/part} for a part. */
    private Answer put(Request request) throws IOException, InterruptedException {
        String[] names = request.path().substring(UPLOADS.length()).split("/", -1);
        Uploads.Upload upload = uploads.get(names[0]);
        Integer part = names.length == 2 ? number(names[1]) : null;
        if (upload == null || upload.isMultipart() != (part != null)) {
            return Answer.xmlError(404, "NoSuchUpload", "The specified upload does not exist.");
        }
        RequestBody body = request.body();
        if (body.isChunked()) {
            return Answer.xmlError(
                    501, "NotImplemented", "A header you provided implies functionality that is not implemented");
        }
        if (!request.headers().has("Content-Length") || body.left() == 0) {
            return Answer.xmlError(501, "NotImplemented", "An object needs a Content-Length, and it must not be empty");
        }
        if (part != null && (part < 1 || part > upload.parts())) {
            return Answer.xmlError(400, "InvalidArgument", "Part number must be between 1 and " + upload.parts());
        }
        long expected = part == null ? upload.size() : upload.partSize(part);
        if (body.left() != expected || expected > MOST_PER_PUT) {
            return Answer.xmlError(400, "EntityTooLarge", "Expected " + expected + " bytes, got " + body.left());
        }
        return part == null ? putObject(upload, body) : putPart(upload, part, body);
    }

    private static @Nullable Integer number(String text) {
        return text.matches("[0-9]{1,6}") ? Integer.valueOf(text) : null;
    }

    private Answer putObject(Uploads.Upload upload, RequestBody body) throws IOException, InterruptedException {
        Path file = state.lfs().newFile();
        try (FileChannel out = FileChannel.open(file, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
            body.writeTo(out, 0);
        } catch (IOException | InterruptedException e) {
            Files.deleteIfExists(file);
            throw e;
        }
        if (!body.sha256().equals(upload.sha256())) {
            Files.delete(file);
            return Answer.xmlError(400, "BadDigest", "The content has sha256 " + body.sha256());
        }
        state.lfs().keep(file, upload.sha256());
        return stored(body);
    }

    /** A part lands at its place in the upload's file, so that nothing has to be put together in the end. */
    private Answer putPart(Uploads.Upload upload, int part, RequestBody body) throws IOException, InterruptedException {
        upload.forget(part);
        try (FileChannel out = FileChannel.open(upload.file(), StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
            body.writeTo(out, upload.partOffset(part));
        }
        Answer answer = stored(body);
        upload.received(part, String.valueOf(answer.headers().get("ETag")));
        return answer;
    }

    private static Answer stored(RequestBody body) {
        return Answer.text(200, "").header("ETag", "\"" + body.sha256().substring(0, 32) + "\"");
    }
}
