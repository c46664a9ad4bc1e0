package io.gptq4j.hub.internal.upload;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.time.Instant;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class UploadRecordsTest {
    private static final String REPO = "https://huggingface.co/acme/m";
    private static final String SHA256 = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    private static final Multipart UPLOAD = new Multipart(
            "https://h/complete?uploadId=A",
            10,
            Map.of(1, "https://s/1", 2, "https://s/2", 3, "https://s/3"),
            Map.of());

    @TempDir
    Path home;

    private UploadRecords records;

    @BeforeEach
    void prepare() {
        records = new UploadRecords(home);
    }

    private Path file() throws IOException {
        try (Stream<Path> files = Files.list(home.resolve("gptq4j/uploads"))) {
            return files.filter(file -> String.valueOf(file.getFileName()).startsWith(SHA256))
                    .findFirst()
                    .orElseThrow();
        }
    }

    @Test
    void aRecordGrowsWithEachPart() {
        assertThat(records.read(REPO, SHA256, 25)).isEmpty();
        records.write(REPO, SHA256, 25, UPLOAD.with(2, "\"e2\""));
        records.append(REPO, SHA256, 1, "\"e 1\"");
        assertThat(new UploadRecords(home).read(REPO, SHA256, 25))
                .contains(UPLOAD.having(Map.of(1, "\"e 1\"", 2, "\"e2\"")));
        records.delete(REPO, SHA256);
        assertThat(records.read(REPO, SHA256, 25)).isEmpty();
        records.delete(REPO, SHA256);
    }

    @Test
    void aRecordIsForOneContentInOneRepository() {
        records.write(REPO, SHA256, 25, UPLOAD);
        assertThat(records.read("https://mirror/acme/m", SHA256, 25)).isEmpty();
        assertThat(records.read(REPO, SHA256.replace('2', '3'), 25)).isEmpty();
        assertThat(records.read(REPO, SHA256, 26)).isEmpty();
    }

    @Test
    void signedAddressesAreForTheOwnerOnly() throws IOException {
        records.write(REPO, SHA256, 25, UPLOAD);
        assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(file())))
                .isEqualTo("rw-------");
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "\n",
                "{\n",
                "[]\n",
                "{\"size\":25}\n",
                "{\"size\":25,\"chunk_size\":10,\"parts\":{\"x\":\"y\"}}\n"
            })
    void aDamagedRecordIsNone(String text) throws IOException {
        records.write(REPO, SHA256, 25, UPLOAD);
        Files.writeString(file(), text);
        assertThat(records.read(REPO, SHA256, 25)).isEmpty();
    }

    @Test
    void aLineThatWasBeingWrittenDoesNotCount() throws IOException {
        records.write(REPO, SHA256, 25, UPLOAD);
        records.append(REPO, SHA256, 1, "\"e1\"");
        Files.writeString(file(), "2 \"e", StandardOpenOption.APPEND);
        assertThat(records.read(REPO, SHA256, 25)).contains(UPLOAD.with(1, "\"e1\""));
    }

    @Test
    void oldRecordsAreForgotten() throws IOException {
        records.write(REPO, SHA256, 25, UPLOAD);
        Files.setLastModifiedTime(file(), FileTime.from(Instant.now().minus(Duration.ofDays(8))));
        records.write(REPO, SHA256.replace('2', '3'), 25, UPLOAD);
        assertThat(records.read(REPO, SHA256, 25)).isEmpty();
    }

    @Test
    void aFolderThatCannotBeWrittenToIsNoError() throws IOException {
        Files.writeString(home.resolve("gptq4j"), "no folder");
        records.write(REPO, SHA256, 25, UPLOAD);
        records.append(REPO, SHA256, 1, "e");
        records.delete(REPO, SHA256);
        assertThat(records.read(REPO, SHA256, 25)).isEmpty();
    }

    @ParameterizedTest
    @CsvSource({"25, true", "30, true", "21, true", "20, false", "31, false", "0, false"})
    void partsFitASize(long size, boolean fits) {
        assertThat(UPLOAD.fits(size)).isEqualTo(fits);
    }

    @Test
    void partsMustBeNumberedWithoutAGapAndHaveASize() {
        assertThat(new Multipart("h", 10, Map.of(0, "a", 1, "b", 2, "c"), Map.of()).fits(25))
                .isFalse();
        assertThat(new Multipart("h", 10, Map.of(1, "a", 3, "b", 4, "c"), Map.of()).fits(25))
                .isFalse();
        assertThat(new Multipart("h", 0, Map.of(1, "a"), Map.of()).fits(25)).isFalse();
        assertThat(new Multipart("h", -1, Map.of(1, "a"), Map.of()).fits(25)).isFalse();
    }

    @ParameterizedTest
    @CsvSource({
        "https://h/c?uploadId=A&signature=1, https://s/1?uploadId=A&X=1, 10, true",
        "https://h/c?signature=2&uploadId=A, https://s/1?X=2&uploadId=A, 10, true",
        "https://h/c?uploadId=B&signature=1, https://s/1?uploadId=B&X=1, 10, false",
        "https://h/c?uploadId=A&signature=1, https://s/1?uploadId=B&X=1, 10, false",
        "https://h/d?uploadId=A&signature=1, https://s/1?uploadId=A&X=1, 10, false",
        "https://h/c?uploadId=A&signature=1, https://s/2?uploadId=A&X=1, 10, false",
        "https://h/c?uploadId=A&signature=1, https://s/1?uploadId=A&X=1, 11, false"
    })
    void anUploadIsTheSameWhateverItsSignatures(String href, String part, long chunk, boolean same) {
        Multipart upload =
                new Multipart("https://h/c?uploadId=A&signature=0", 10, Map.of(1, "https://s/1?uploadId=A"), Map.of());
        assertThat(upload.isSameUpload(new Multipart(href, chunk, Map.of(1, part), Map.of(1, "e"))))
                .isEqualTo(same);
    }
}
