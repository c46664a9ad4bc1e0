package io.gptq4j.hub.internal.cache;

import static org.assertj.core.api.Assertions.assertThat;

import io.gptq4j.hub.repo.RepoFile;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class TreeListingTest {
    /** The files of a repository whose listing huggingface_hub 1.29 wrote in 1087 bytes. */
    private static final List<RepoFile> FILES = List.of(
            new RepoFile("tokenizer.json", 10897, "1197d039c37d107ef06b145c1afaf5b4b3ddeb4a", null, null),
            new RepoFile(".gitattributes", 1519, "a6344aac8c09253b3b630fb776ae94478aa0275b", null, null),
            new RepoFile("README.md", 106, "3c789e5a38db1b2657f29b7577cb9aeb02574e70", null, null),
            new RepoFile("config.json", 48, "0ee5904cdde1f447bfec02afd35f577706077a31", null, null),
            new RepoFile("empty.txt", 0, "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391", null, null),
            new RepoFile(
                    "model-00001-of-00002.safetensors",
                    3000000,
                    "41be0a8b3f293fa3bbe29659ab8a5f733e79a287",
                    "eaee34640ca7ca9dcbe15c348da93446896de37ccbdaa560376d90b1c92652cd",
                    null),
            new RepoFile(
                    "model-00002-of-00002.safetensors",
                    1000001,
                    "12d01188851f7dcccc517d1f713dc9d9a10a2910",
                    "7284f2db4b77ffe80aef48bdf8f78001a1481ff9f1515b3e2b7aaf13c63ec428",
                    null),
            new RepoFile("sub/notes.txt", 120, "72aee5c972148121976e8060b206481ad099cd64", null, null));

    @TempDir
    Path folder;

    private List<RepoFile> read(String text) throws IOException {
        return TreeListing.read(Files.writeString(folder.resolve("c.json"), text))
                .orElse(List.of());
    }

    @Test
    void writesWhatPythonWrites() {
        String text = TreeListing.write(FILES);
        assertThat(text).hasSize(1087).startsWith("""
                {
                 "files": {
                  ".gitattributes": {
                   "blob_id": "a6344aac8c09253b3b630fb776ae94478aa0275b",
                   "size": 1519
                  },
                """).contains("""
                  "model-00002-of-00002.safetensors": {
                   "blob_id": "12d01188851f7dcccc517d1f713dc9d9a10a2910",
                   "lfs_sha256": "7284f2db4b77ffe80aef48bdf8f78001a1481ff9f1515b3e2b7aaf13c63ec428",
                   "lfs_size": 1000001,
                   "size": 1000001
                  },
                """).endsWith("""
                   "size": 10897
                  }
                 },
                 "format_version": 1
                }""");
    }

    @Test
    void readsWhatItWrote() throws IOException {
        assertThat(read(TreeListing.write(FILES))).containsExactlyInAnyOrderElementsOf(FILES);
        RepoFile xet = new RepoFile("é \"q\".bin", 1, "1197d039c37d107ef06b145c1afaf5b4b3ddeb4a", null, "ab12");
        assertThat(read(TreeListing.write(List.of(xet)))).containsExactly(xet);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "{",
                "[]",
                "{}",
                "{\"format_version\": 2, \"files\": {}}",
                "{\"format_version\": 1}",
                "{\"format_version\": 1, \"files\": {\"a\": {\"blob_id\": \"ab\"}}}",
                "{\"format_version\": 1, \"files\": {\"a\": {\"size\": 1}}}",
                "{\"format_version\": 1, \"files\": {\"../a\": {\"blob_id\": \"ab\", \"size\": 1}}}",
                "{\"format_version\": 1, \"files\": {\"a\": {\"blob_id\": \"../ab\", \"size\": 1}}}"
            })
    void aListingThatIsNotUnderstoodIsNone(String text) throws IOException {
        Path file = Files.writeString(folder.resolve("c.json"), text);
        assertThat(TreeListing.read(file)).isEmpty();
        assertThat(TreeListing.read(folder.resolve("missing.json"))).isEmpty();
    }

    @Test
    void aCommitWithoutFilesHasAListingToo() throws IOException {
        Path file = Files.writeString(folder.resolve("c.json"), TreeListing.write(List.of()));
        assertThat(TreeListing.read(file)).contains(List.of());
    }
}
