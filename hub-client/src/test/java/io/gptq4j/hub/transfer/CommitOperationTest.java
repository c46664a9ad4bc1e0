package io.gptq4j.hub.transfer;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.gptq4j.hub.repo.Repo;
import io.gptq4j.hub.repo.Revision;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class CommitOperationTest {
    @TempDir
    Path folder;

    private void files(String... paths) throws IOException {
        for (String path : paths) {
            Path file = folder.resolve(path);
            Files.createDirectories(file.getParent());
            Files.writeString(file, path);
        }
    }

    private List<String> paths(String pathInRepo, Patterns patterns) throws IOException {
        return CommitOperation.ofFolder(folder, pathInRepo, patterns).stream()
                .map(CommitOperation.Add::path)
                .toList();
    }

    @Test
    void aFolderIsAllItsFilesSorted() throws IOException {
        files("b.txt", "a/z.txt", "a.txt", "a/b/c.txt", ".gitattributes");
        assertThat(paths("", Patterns.ALL)).containsExactly(".gitattributes", "a.txt", "a/b/c.txt", "a/z.txt", "b.txt");
    }

    @Test
    void whatBelongsToGitAndToTheHubClientIsLeftOut() throws IOException {
        files(
                ".git/config",
                "sub/.git",
                "sub/.GIT/x",
                ".cache/huggingface/download/a.metadata",
                "x/.cache/huggingface/y");
        files("a.txt", ".gitignore", ".github/x.yml");
        assertThat(paths("", Patterns.ALL)).containsExactly(".github/x.yml", ".gitignore", "a.txt");
    }

    @Test
    void linksAreFollowed() throws IOException {
        Path elsewhere = Files.createDirectory(folder.resolve("elsewhere"));
        Path up = Files.createDirectory(folder.resolve("up"));
        Files.writeString(elsewhere.resolve("a.txt"), "a");
        Files.createSymbolicLink(up.resolve("file"), elsewhere.resolve("a.txt"));
        Files.createSymbolicLink(up.resolve("dir"), elsewhere);
        assertThat(CommitOperation.ofFolder(up, "", Patterns.ALL))
                .map(CommitOperation.Add::path)
                .containsExactly("dir/a.txt", "file");
        Files.createSymbolicLink(elsewhere.resolve("loop"), elsewhere);
        assertThatThrownBy(() -> CommitOperation.ofFolder(up, "", Patterns.ALL)).isInstanceOf(IOException.class);
    }

    @ParameterizedTest
    @CsvSource({"'', a.txt", "., a.txt", "./, a.txt", "sub, sub/a.txt", "sub/deep/, sub/deep/a.txt", "./sub, sub/a.txt"
    })
    void aFolderGoesWhereItIsWanted(String pathInRepo, String path) throws IOException {
        files("a.txt");
        assertThat(paths(pathInRepo, Patterns.ALL)).containsExactly(path);
    }

    @Test
    void patternsLookAtThePathBelowTheFolder() throws IOException {
        files("a.txt", "b.bin", "sub/c.txt");
        assertThat(paths("sub", Patterns.of(List.of("*.txt"), List.of("sub/")))).containsExactly("sub/a.txt");
    }

    @Test
    void aFolderThatIsNotThereIsAnError() {
        assertThatThrownBy(() -> CommitOperation.ofFolder(folder.resolve("nope"), "", Patterns.ALL))
                .isInstanceOf(IOException.class)
                .hasMessageContaining("nope");
    }

    @ParameterizedTest
    @CsvSource({"a/b.txt, a/b.txt", "./a, a", "././a, a", "/a, a", "//a/b, a/b"})
    void pathsAreBroughtToTheHubsForm(String path, String normal) {
        assertThat(new CommitOperation.Add(path, folder).path()).isEqualTo(normal);
        assertThat(new CommitOperation.Copy(path, null, path))
                .isEqualTo(new CommitOperation.Copy(normal, null, normal));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "/",
                "..",
                "../a",
                "a/../b",
                "a/./b",
                "a//b",
                ".git/x",
                "a/.git",
                ".GIT/x",
                ".cache/x",
                "a\\..\\b"
            })
    void pathsThatTheHubDoesNotTakeAreRefused(String path) {
        assertThatIllegalArgumentException().isThrownBy(() -> new CommitOperation.Add(path, folder));
        assertThatIllegalArgumentException().isThrownBy(() -> new CommitOperation.Copy("a", null, path));
        assertThatIllegalArgumentException().isThrownBy(() -> new CommitOperation.Delete(path, false));
    }

    @Test
    void aSlashAtTheEndMeansAFolderThatIsDeleted() {
        assertThat(CommitOperation.Delete.of("a/b/")).isEqualTo(new CommitOperation.Delete("a/b", true));
        assertThat(CommitOperation.Delete.of("a/b")).isEqualTo(new CommitOperation.Delete("a/b", false));
    }

    @Test
    void aCommitSaysSomethingAndChangesEachPathOnce() {
        Repo repo = Repo.model("acme/m");
        CommitOperation add = new CommitOperation.Add("a", folder);
        assertThatIllegalArgumentException()
                .isThrownBy(() -> CommitRequest.of(repo, List.of(add), " "))
                .withMessage("A commit needs a message");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> CommitRequest.of(repo, List.of(add, CommitOperation.Delete.of("./a")), "x"))
                .withMessage("A commit cannot change 'a' twice");
    }

    @Test
    void aCommitIsDescribedStepByStep() {
        CommitRequest request = CommitRequest.of(Repo.model("acme/m"), List.of(), "Say")
                .to(new Revision("dev"))
                .describedAs("more")
                .asPullRequest(true)
                .onTopOf("1234567");
        assertThat(request)
                .isEqualTo(new CommitRequest(
                        Repo.model("acme/m"),
                        new Revision("dev"),
                        List.of(),
                        "Say",
                        "more",
                        true,
                        "1234567",
                        false,
                        5));
    }
}
