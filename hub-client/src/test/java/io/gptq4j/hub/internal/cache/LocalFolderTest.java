package io.gptq4j.hub.internal.cache;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.time.Instant;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class LocalFolderTest {
    private static final String COMMIT = "3083c96c89e9393cc384b3f42b8ca68ae0d37582";
    private static final String ETAG = "0ee5904cdde1f447bfec02afd35f577706077a31";

    @TempDir
    Path directory;

    private LocalFolder folder;
    private Path note;

    @BeforeEach
    void prepare() throws IOException {
        folder = new LocalFolder(directory);
        folder.create();
        note = directory.resolve(".cache/huggingface/download/sub/a.txt.metadata");
    }

    private void file(Instant modified) throws IOException {
        Path file = folder.file("sub/a.txt");
        Files.createDirectories(file.getParent());
        Files.setLastModifiedTime(Files.writeString(file, "hello"), FileTime.from(modified));
    }

    @Test
    void theBookkeepingHidesFromGitAndBackups() {
        Path notes = directory.resolve(".cache/huggingface");
        assertThat(notes.resolve(".gitignore")).content().isEqualTo("*");
        assertThat(notes.resolve("CACHEDIR.TAG")).content().startsWith("Signature: 8a477f597d28d172789f06886806bc55\n");
    }

    @Test
    void aNoteIsThreeLines() throws IOException {
        folder.write("sub/a.txt", COMMIT, ETAG);
        assertThat(note).content().matches(COMMIT + "\n" + ETAG + "\n[0-9]{10}\\.[0-9]{6}\n");
        file(Instant.now().minusSeconds(5));
        assertThat(folder.read("sub/a.txt")).contains(new LocalFolder.Note(COMMIT, ETAG));
    }

    @Test
    void aNoteOfPythonIsRead() throws IOException {
        Files.createDirectories(note.getParent());
        Files.writeString(note, COMMIT + "\n" + ETAG + "\n1795424962.8580902\n");
        file(Instant.ofEpochSecond(1795424963));
        assertThat(folder.read("sub/a.txt")).contains(new LocalFolder.Note(COMMIT, ETAG));
        file(Instant.ofEpochSecond(1795424964));
        assertThat(folder.read("sub/a.txt")).as("touched since").isEmpty();
    }

    @Test
    void aNoteWithoutItsFileSaysNothing() throws IOException {
        folder.write("sub/a.txt", COMMIT, ETAG);
        assertThat(folder.read("sub/a.txt")).isEmpty();
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "one line\n", "two\nlines\n", "no\ntime\nhere\n"})
    void aDamagedNoteSaysNothing(String text) throws IOException {
        Files.createDirectories(note.getParent());
        Files.writeString(note, text);
        file(Instant.ofEpochSecond(1));
        assertThat(folder.read("sub/a.txt")).isEmpty();
    }

    @Test
    void whatIsOnItsWayHasAShortNameThatPythonGivesIt() {
        // urlsafe base64 of sha1("a.txt.metadata")
        assertThat(folder.partial("sub/a.txt", ETAG))
                .isEqualTo(directory.resolve(
                        ".cache/huggingface/download/sub/cExJ8iHBe1Fn7eB3I6UvtuxO9VE=." + ETAG + ".incomplete"));
        assertThat(folder.lock("sub/a.txt")).isEqualTo(directory.resolve(".cache/huggingface/download/sub/a.txt.lock"));
    }

    @Test
    void whatWouldLeaveTheFolderIsRefused() {
        assertThatIllegalArgumentException().isThrownBy(() -> folder.file("../evil"));
        assertThatIllegalArgumentException().isThrownBy(() -> folder.partial("a", "../../evil"));
        assertThatIllegalArgumentException().isThrownBy(() -> folder.tree("../../evil"));
    }
}
