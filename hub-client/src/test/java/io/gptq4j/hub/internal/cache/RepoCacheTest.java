package io.gptq4j.hub.internal.cache;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import io.gptq4j.hub.repo.Repo;
import io.gptq4j.hub.repo.RepoFile;
import io.gptq4j.hub.repo.Revision;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** The layout of huggingface_hub's documentation, "Understand caching". */
class RepoCacheTest {
    private static final String COMMIT = "3083c96c89e9393cc384b3f42b8ca68ae0d37582";
    private static final String ETAG = "0ee5904cdde1f447bfec02afd35f577706077a31";

    @TempDir
    Path cache;

    private RepoCache repo;
    private Path folder;

    @BeforeEach
    void prepare() {
        repo = new RepoCache(cache, Repo.model("acme/m"), () -> true);
        folder = cache.resolve("models--acme--m");
    }

    private static List<String> tree(Path root) throws IOException {
        try (Stream<Path> files = Files.walk(root)) {
            return files.filter(file -> !Files.isDirectory(file) || Files.isSymbolicLink(file))
                    .map(file -> root.relativize(file).toString())
                    .sorted()
                    .toList();
        }
    }

    private void blob(String content) throws IOException {
        repo.create();
        Files.writeString(repo.blob(ETAG), content);
    }

    @Test
    void everyThingHasItsPlace() {
        assertThat(repo.blob(ETAG)).isEqualTo(folder.resolve("blobs/" + ETAG));
        assertThat(repo.partial(ETAG)).isEqualTo(folder.resolve("blobs/" + ETAG + ".incomplete"));
        assertThat(repo.lock(ETAG)).isEqualTo(cache.resolve(".locks/models--acme--m/" + ETAG + ".lock"));
        assertThat(repo.pointer(COMMIT, "sub/a.txt")).isEqualTo(folder.resolve("snapshots/" + COMMIT + "/sub/a.txt"));
    }

    @Test
    void nothingIsMadeUntilThereIsSomethingToKeep() throws IOException {
        assertThat(repo.has(COMMIT, "a.txt")).isFalse();
        assertThat(repo.commitOf(Revision.MAIN)).isEmpty();
        assertThat(repo.tree(COMMIT)).isEmpty();
        assertThat(tree(cache)).isEmpty();
    }

    @Test
    void linksAreRelativeAndClimbAsFarAsTheyMust() throws IOException {
        blob("hello");
        repo.point(COMMIT, "a.txt", ETAG, true);
        repo.point(COMMIT, "sub/deep/a.txt", ETAG, false);
        Path snapshot = folder.resolve("snapshots").resolve(COMMIT);
        assertThat(Files.readSymbolicLink(snapshot.resolve("a.txt"))).hasToString("../../blobs/" + ETAG);
        assertThat(Files.readSymbolicLink(snapshot.resolve("sub/deep/a.txt"))).hasToString("../../../../blobs/" + ETAG);
        assertThat(snapshot.resolve("sub/deep/a.txt")).hasContent("hello");
        assertThat(tree(folder))
                .containsExactly(
                        "blobs/" + ETAG, "snapshots/" + COMMIT + "/a.txt", "snapshots/" + COMMIT + "/sub/deep/a.txt");
    }

    @Test
    void aLinkReplacesWhateverHadItsPlace() throws IOException {
        blob("hello");
        Path pointer = repo.pointer(COMMIT, "a.txt");
        Files.createDirectories(pointer.getParent());
        Files.writeString(pointer, "old");
        repo.point(COMMIT, "a.txt", ETAG, true);
        assertThat(pointer).isSymbolicLink().hasContent("hello");
        Files.delete(pointer);
        Files.createSymbolicLink(pointer, Path.of("../../blobs/gone"));
        repo.point(COMMIT, "a.txt", ETAG, true);
        assertThat(pointer).hasContent("hello");
    }

    @Test
    void withoutLinksANewBlobIsMovedAndAnOldOneCopied() throws IOException {
        RepoCache plain = new RepoCache(cache, Repo.model("acme/m"), () -> false);
        blob("hello");
        plain.point(COMMIT, "a.txt", ETAG, true);
        assertThat(tree(folder)).containsExactly("snapshots/" + COMMIT + "/a.txt");
        blob("hello");
        plain.point(COMMIT, "b.txt", ETAG, false);
        assertThat(tree(folder))
                .containsExactly("blobs/" + ETAG, "snapshots/" + COMMIT + "/a.txt", "snapshots/" + COMMIT + "/b.txt");
        assertThat(folder.resolve("snapshots").resolve(COMMIT).resolve("b.txt"))
                .isRegularFile()
                .hasContent("hello");
    }

    @Test
    void aRefIsFortyDigitsAndNothingElse() throws IOException {
        repo.writeRef(Revision.MAIN, COMMIT);
        repo.writeRef(new Revision("refs/pr/1"), COMMIT);
        assertThat(Files.readAllBytes(folder.resolve("refs/main")))
                .hasSize(40)
                .asString()
                .isEqualTo(COMMIT);
        assertThat(folder.resolve("refs/refs/pr/1")).content().isEqualTo(COMMIT);
        assertThat(repo.commitOf(new Revision("refs/pr/1"))).contains(COMMIT);
        assertThat(tree(folder)).containsExactly("refs/main", "refs/refs/pr/1");
    }

    @Test
    void aCommitNeedsNoRef() throws IOException {
        repo.writeRef(new Revision(COMMIT), COMMIT);
        assertThat(tree(cache)).isEmpty();
        assertThat(repo.commitOf(new Revision(COMMIT))).contains(COMMIT);
    }

    @Test
    void aRefIsOnlyWrittenIfItIsNews() throws IOException {
        repo.writeRef(Revision.MAIN, COMMIT);
        Object before = Files.readAttributes(
                        folder.resolve("refs/main"), java.nio.file.attribute.BasicFileAttributes.class)
                .fileKey();
        repo.writeRef(Revision.MAIN, COMMIT);
        Object after = Files.readAttributes(
                        folder.resolve("refs/main"), java.nio.file.attribute.BasicFileAttributes.class)
                .fileKey();
        assertThat(after).isEqualTo(before);
        String other = "2222222222222222222222222222222222222222";
        repo.writeRef(Revision.MAIN, other);
        assertThat(repo.commitOf(Revision.MAIN)).contains(other);
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "",
                "main",
                "../../../../../../../etc",
                "3083c96c89e9393cc384b3f42b8ca68ae0d3758",
                "3083C96C89E9393CC384B3F42B8CA68AE0D37582",
                "3083c96c89e9393cc384b3f42b8ca68ae0d37582/../x"
            })
    void aRefThatHoldsNoCommitIsNotFollowed(String content) throws IOException {
        Files.createDirectories(folder.resolve("refs"));
        Files.writeString(folder.resolve("refs/main"), content);
        assertThat(repo.commitOf(Revision.MAIN)).isEmpty();
    }

    @Test
    void aRefWithALineEndIsUnderstood() throws IOException {
        Files.createDirectories(folder.resolve("refs"));
        Files.writeString(folder.resolve("refs/main"), COMMIT + "\n");
        assertThat(repo.commitOf(Revision.MAIN)).contains(COMMIT);
    }

    @ParameterizedTest
    @ValueSource(strings = {"", ".", "..", "../x", "a/b", "a\\b", "/etc/passwd", ".hidden", "a\nb", "a\0b", "C:x", "é"})
    void aHashThatCannotNameAFileIsRefused(String etag) {
        assertThatIllegalArgumentException()
                .isThrownBy(() -> repo.blob(etag))
                .withMessageContaining("cannot name a file");
        assertThatIllegalArgumentException().isThrownBy(() -> repo.partial(etag));
        assertThatIllegalArgumentException().isThrownBy(() -> repo.lock(etag));
        assertThatIllegalArgumentException().isThrownBy(() -> repo.snapshot(etag));
        assertThatIllegalArgumentException().isThrownBy(() -> repo.writeNoExist(etag, "a"));
        assertThatIllegalArgumentException().isThrownBy(() -> repo.tree(etag));
    }

    @ParameterizedTest
    @ValueSource(strings = {"../x", "/x", "a/../../x", "C:\\x", "a//b", ""})
    void aPathThatLeavesTheSnapshotIsRefused(String path) {
        assertThatIllegalArgumentException().isThrownBy(() -> repo.pointer(COMMIT, path));
        assertThatIllegalArgumentException().isThrownBy(() -> repo.writeNoExist(COMMIT, path));
    }

    @Test
    void whatIsKnownToBeAbsentIsAnEmptyFile() throws IOException {
        repo.writeNoExist(COMMIT, "sub/nope.json");
        assertThat(folder.resolve(".no_exist").resolve(COMMIT).resolve("sub/nope.json"))
                .isEmptyFile();
        repo.writeNoExist(COMMIT, "sub/nope.json");
    }

    @Test
    void aCacheIsMarkedAsOne() throws IOException {
        repo.create();
        assertThat(cache.resolve("CACHEDIR.TAG")).content().startsWith("Signature: 8a477f597d28d172789f06886806bc55\n");
        Files.writeString(cache.resolve("CACHEDIR.TAG"), "of another program");
        repo.create();
        assertThat(cache.resolve("CACHEDIR.TAG")).hasContent("of another program");
    }

    @Test
    void aListingIsKept() {
        List<RepoFile> files = List.of(new RepoFile("a.txt", 5, ETAG, null, null));
        repo.writeTree(COMMIT, files);
        assertThat(folder.resolve("trees/" + COMMIT + ".json")).exists();
        assertThat(repo.tree(COMMIT)).contains(files);
    }

    @Test
    void aCacheThatCannotBeWrittenToIsNoError() throws IOException {
        Files.writeString(cache.resolve("models--acme--m"), "a file where the folder should be");
        repo.writeRef(Revision.MAIN, COMMIT);
        repo.writeNoExist(COMMIT, "a");
        repo.writeTree(COMMIT, List.of());
        assertThat(tree(cache)).containsExactly("models--acme--m");
    }

    @Test
    void linksAreTriedAndTheTrialLeavesNothing() throws IOException {
        assertThat(RepoCache.supportsSymlinks(cache.resolve("new"))).isTrue();
        assertThat(cache.resolve("new")).isEmptyDirectory();
        Path file = Files.writeString(cache.resolve("file"), "");
        assertThat(RepoCache.supportsSymlinks(file)).isFalse();
    }
}
