package io.gptq4j.hub.internal.io;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ContentHashTest {
    @TempDir
    Path folder;

    @Test
    void hashesAreThoseOfGitAndSha256sum() throws IOException {
        Path hello = Files.writeString(folder.resolve("hello"), "hello");
        assertThat(ContentHash.sha256().of(hello))
                .isEqualTo("2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824");
        assertThat(ContentHash.gitBlob(5).of(hello)).isEqualTo("b6fc4c620b67d95f953a5c1c1230aaab5db5a1b0");
        Path empty = Files.writeString(folder.resolve("empty"), "");
        assertThat(ContentHash.gitBlob(0).of(empty)).isEqualTo("e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
    }

    @Test
    void anEtagSaysWhichHashItIs() {
        assertThat(ContentHash.matching("b6fc4c620b67d95f953a5c1c1230aaab5db5a1b0", 5))
                .map(ContentHash::algorithm)
                .contains("git sha1");
        assertThat(ContentHash.matching("2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824", 5))
                .map(ContentHash::algorithm)
                .contains("sha256");
        assertThat(ContentHash.matching("5d41402abc4b2a76b9719d911017c592", 5)).isEmpty();
        assertThat(ContentHash.matching("B6FC4C620B67D95F953A5C1C1230AAAB5DB5A1B0", 5))
                .isEmpty();
        assertThat(ContentHash.matching("", 5)).isEmpty();
    }
}
