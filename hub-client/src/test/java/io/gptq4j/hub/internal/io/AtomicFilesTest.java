package io.gptq4j.hub.internal.io;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class AtomicFilesTest {
    @TempDir
    Path folder;

    @Test
    void aFileAppearsWithItsFoldersAndLeavesNothingBeside() throws IOException {
        Path target = folder.resolve("a/b/c.txt");
        AtomicFiles.write(target, "é", folder);
        AtomicFiles.write(target, "other", folder);
        assertThat(target).content().isEqualTo("other");
        assertThat(folder).isDirectoryNotContaining("glob:**.tmp");
        assertThat(target.getParent()).isDirectoryContaining("glob:**/c.txt").isDirectoryNotContaining("glob:**.tmp");
    }

    @Test
    void whatCannotBeWrittenLeavesWhatWasThere() throws IOException {
        Path target = folder.resolve("target");
        Files.createDirectories(target.resolve("full"));
        assertThatThrownBy(() -> AtomicFiles.write(target, "x", folder)).isInstanceOf(IOException.class);
        assertThat(target.resolve("full")).isDirectory();
        assertThat(folder).isDirectoryNotContaining("glob:**.tmp");
    }

    @Test
    void secretsAreForTheirOwner() throws IOException {
        Path target = folder.resolve("private/token");
        AtomicFiles.writePrivate(target, "secret");
        assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(target)))
                .isEqualTo("rw-------");
        assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(target.getParent())))
                .isEqualTo("rwx------");
    }

    @Test
    void suffixesAreEightHexadecimalDigits() {
        assertThat(AtomicFiles.randomSuffix()).matches("[0-9a-f]{8}").isNotEqualTo(AtomicFiles.randomSuffix());
    }
}
