package io.gptq4j.hub.internal.upload;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.gptq4j.hub.error.HubException;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Base64;
import java.util.Random;
import okio.Buffer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class CommitBodyTest {
    @TempDir
    Path folder;

    private static String text(CommitBody body) throws IOException {
        Buffer buffer = new Buffer();
        body.writeTo(buffer);
        assertThat(body.contentLength()).isEqualTo(buffer.size());
        return buffer.readUtf8();
    }

    private LocalContent content(String path, String text) throws IOException {
        return new LocalContent(path, Files.writeString(folder.resolve("content"), text));
    }

    @Test
    void isOneJsonObjectALine() throws IOException {
        CommitBody body = new CommitBody("Größe \"x\"", "two\nlines", "1234567");
        body.file(content("a \"b\"/é.txt", "hello!!"));
        body.lfsFile("m.bin", "ab", 5L);
        body.lfsFile("copy.bin", "ab", null);
        body.deleted("old.txt", false);
        body.deleted("old", true);
        assertThat(text(body)).isEqualTo("""
                {"key":"header","value":{"summary":"Größe \\"x\\"","description":"two\\nlines","parentCommit":"1234567"}}
                {"key":"file","value":{"content":"aGVsbG8hIQ==","path":"a \\"b\\"/é.txt","encoding":"base64"}}
                {"key":"lfsFile","value":{"path":"m.bin","algo":"sha256","oid":"ab","size":5}}
                {"key":"lfsFile","value":{"path":"copy.bin","algo":"sha256","oid":"ab"}}
                {"key":"deletedFile","value":{"path":"old.txt"}}
                {"key":"deletedFolder","value":{"path":"old"}}
                """);
        assertThat(body.contentType()).hasToString("application/x-ndjson");
        assertThat(body.isOneShot()).isTrue();
    }

    @Test
    void aFileOfManyPiecesIsOneBase64Text() throws IOException {
        byte[] bytes = new byte[500_000];
        new Random(20260828).nextBytes(bytes);
        CommitBody body = new CommitBody("x", "", null);
        body.file(new LocalContent("a.bin", Files.write(folder.resolve("a.bin"), bytes)));
        String text = text(body);
        assertThat(text(body)).as("the second time").isEqualTo(text);
        int start = text.indexOf("content\":\"") + "content\":\"".length();
        String content = text.substring(start, text.indexOf('"', start));
        assertThat(Base64.getDecoder().decode(content)).isEqualTo(bytes);
    }

    @Test
    void aFileThatChangedMeanwhileIsNotSent() throws IOException {
        for (String now : new String[] {"hell", "hello, world"}) {
            CommitBody body = new CommitBody("x", "", null);
            body.file(content("a.txt", "hello"));
            Files.writeString(folder.resolve("content"), now);
            assertThatThrownBy(() -> body.writeTo(new Buffer()))
                    .isInstanceOf(HubException.class)
                    .hasMessageContaining("has changed while it was uploaded");
        }
        CommitBody body = new CommitBody("x", "", null);
        body.file(content("a.txt", "hello"));
        Files.delete(folder.resolve("content"));
        assertThatThrownBy(() -> body.writeTo(new Buffer()))
                .isInstanceOf(HubException.class)
                .hasMessageContaining("Cannot read " + folder.resolve("content"));
    }

    @Test
    void aFileThatGotShorterOrWentIsNotPutEither() throws IOException {
        FileBody body = new FileBody(content("a.txt", "hello"), 2, 3, sent -> {});
        Buffer buffer = new Buffer();
        body.writeTo(buffer);
        assertThat(buffer.readUtf8()).isEqualTo("llo");
        assertThat(body.contentLength()).isEqualTo(3);
        Files.writeString(folder.resolve("content"), "hell");
        assertThatThrownBy(() -> body.writeTo(new Buffer()))
                .isInstanceOf(HubException.class)
                .hasMessageContaining("has become shorter while it was uploaded");
    }
}
