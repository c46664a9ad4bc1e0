package io.gptq4j.hub.cache;

import static io.gptq4j.hub.cache.CacheFolder.OLD;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.gptq4j.hub.error.LocalEntryNotFoundException;
import io.gptq4j.hub.repo.Repo;
import io.gptq4j.hub.repo.RepoFile;
import io.gptq4j.hub.repo.Revision;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.nio.file.Files;
import java.nio.file.NotDirectoryException;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentSkipListSet;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class HubCacheVerifyTest {
    private static final Repo REPO = Repo.model("a/b");

    /** What {@code git hash-object} says of {@code hello} with a line end, and {@code sha256sum} of {@code 12345}. */
    private static final RepoFile HELLO =
            new RepoFile("hello.txt", 6, "ce013625030ba8dba906f756967f9e9ca394464a", null, null);

    private static final RepoFile NUMBERS = new RepoFile(
            "sub/numbers.bin",
            5,
            "0000000000000000000000000000000000000000",
            "5994471abb01112afcc18159f6cc74b4f511b99806da59b3caf5a9c173cacfc5",
            null);

    private static final RepoFile EMPTY =
            new RepoFile("empty.txt", 0, "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391", null, null);

    private static final String SNAPSHOT = "models--a--b/snapshots/" + OLD;

    @TempDir
    Path folder;

    private final Set<String> told = new ConcurrentSkipListSet<>();

    private CacheFolder goodCache() throws IOException {
        CacheFolder disk = new CacheFolder(folder);
        disk.blob("models--a--b", "ce013625030ba8dba906f756967f9e9ca394464a", "hello\n");
        disk.link(SNAPSHOT + "/hello.txt", "../../blobs/ce013625030ba8dba906f756967f9e9ca394464a");
        disk.file(SNAPSHOT + "/sub/numbers.bin", "12345");
        disk.file(SNAPSHOT + "/empty.txt", "");
        return disk;
    }

    private Verification verify() throws IOException {
        return new HubCache(folder).verify(REPO, OLD, List.of(HELLO, NUMBERS, EMPTY), told::add);
    }

    @Test
    void findsAGoodSnapshotGood() throws Exception {
        goodCache();
        Verification result = verify();
        assertThat(result.folder()).isEqualTo(folder.resolve(SNAPSHOT));
        assertThat(result.checked()).isEqualTo(3);
        assertThat(result.mismatches()).isEmpty();
        assertThat(result.missing()).isEmpty();
        assertThat(result.extra()).isEmpty();
        assertThat(told).containsExactly("empty.txt", "hello.txt", "sub/numbers.bin");
    }

    @Test
    void namesBothHashesOfWhatDiffers() throws Exception {
        CacheFolder disk = goodCache();
        disk.file(SNAPSHOT + "/sub/numbers.bin", "12346");
        disk.file("models--a--b/blobs/ce013625030ba8dba906f756967f9e9ca394464a", "hellO\n");
        assertThat(verify().mismatches())
                .containsExactly(
                        new Verification.Mismatch(
                                "hello.txt",
                                "git-sha1",
                                "ce013625030ba8dba906f756967f9e9ca394464a",
                                "4b32b59cf6f008703c95a6d2284f027e6ef86b54"),
                        new Verification.Mismatch(
                                "sub/numbers.bin",
                                "sha256",
                                "5994471abb01112afcc18159f6cc74b4f511b99806da59b3caf5a9c173cacfc5",
                                "34d128f5b3dede622e107438fbefabdf0519ebab21ac7b6f2075f974d09ce524"));
    }

    @Test
    void aWrongSizeNeedsNoHash() throws Exception {
        goodCache().file(SNAPSHOT + "/sub/numbers.bin", "123");
        assertThat(verify().mismatches())
                .containsExactly(new Verification.Mismatch("sub/numbers.bin", "size", "5 bytes", "3 bytes"));
    }

    @Test
    void tellsWhatOnlyOneSideHas() throws Exception {
        CacheFolder disk = goodCache();
        Files.delete(disk.path(SNAPSHOT + "/empty.txt"));
        Files.delete(disk.path("models--a--b/blobs/ce013625030ba8dba906f756967f9e9ca394464a"));
        disk.file(SNAPSHOT + "/mine/notes.txt", "x");
        Verification result = verify();
        assertThat(result.checked()).isEqualTo(1);
        assertThat(result.missing()).containsExactly("empty.txt", "hello.txt");
        assertThat(result.extra()).containsExactly("mine/notes.txt");
    }

    @Test
    void aSnapshotThatIsNotThereIsAnError() {
        assertThatThrownBy(this::verify)
                .isInstanceOf(LocalEntryNotFoundException.class)
                .hasMessageContaining("no snapshot " + OLD + " of model 'a/b'");
    }

    @Test
    void knowsTheCommitOfARefAndTrustsNoOtherContent() throws Exception {
        CacheFolder disk = goodCache();
        disk.file("models--a--b/refs/main", OLD);
        disk.file("models--a--b/refs/refs/pr/1", "../../../etc");
        HubCache cache = new HubCache(folder);
        assertThat(cache.commitOf(REPO, Revision.MAIN)).hasValue(OLD);
        assertThat(cache.commitOf(REPO, new Revision("refs/pr/1"))).isEmpty();
        assertThat(cache.commitOf(REPO, new Revision("dev"))).isEmpty();
        assertThat(cache.commitOf(REPO, new Revision(OLD))).hasValue(OLD);
    }

    @Test
    void anInterruptEndsTheComparison() throws Exception {
        goodCache();
        Thread.currentThread().interrupt();
        assertThatThrownBy(this::verify).isInstanceOf(InterruptedIOException.class);
        assertThat(Thread.interrupted()).isTrue();
    }

    @Test
    void verifiesAFolderWithoutTheNotesOfDownloads() throws Exception {
        CacheFolder disk = new CacheFolder(folder);
        disk.file("hello.txt", "hello\n");
        disk.file(".cache/huggingface/download/hello.txt.metadata", "x");
        disk.file(".cache/other", "x");
        Verification result = HubCache.verifyFolder(folder, List.of(HELLO), told::add);
        assertThat(result.checked()).isEqualTo(1);
        assertThat(result.mismatches()).isEmpty();
        assertThat(result.extra()).containsExactly(".cache/other");
    }

    @Test
    void aFolderThatIsNotThereIsAnError() {
        assertThatThrownBy(() -> HubCache.verifyFolder(folder.resolve("none"), List.of(HELLO), told::add))
                .isInstanceOf(NotDirectoryException.class);
    }

    @Test
    void readsNeitherDevicesNorFolders() throws Exception {
        CacheFolder disk = goodCache();
        Files.delete(disk.path(SNAPSHOT + "/empty.txt"));
        disk.link(SNAPSHOT + "/empty.txt", "/dev/zero");
        Files.delete(disk.path(SNAPSHOT + "/sub/numbers.bin"));
        Files.createDirectories(disk.path(SNAPSHOT + "/sub/numbers.bin"));
        assertThat(verify().missing()).containsExactly("empty.txt", "sub/numbers.bin");
    }
}
