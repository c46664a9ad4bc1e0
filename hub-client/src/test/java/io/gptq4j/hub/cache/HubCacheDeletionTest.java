package io.gptq4j.hub.cache;

import static io.gptq4j.hub.cache.CacheFolder.NEW;
import static io.gptq4j.hub.cache.CacheFolder.OLD;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class HubCacheDeletionTest {
    @TempDir
    Path folder;

    private CacheFolder disk = new CacheFolder(Path.of(""));
    private HubCache cache = new HubCache(Path.of(""));

    @BeforeEach
    void nameTheCache() throws IOException {
        disk = new CacheFolder(Files.createDirectory(folder.resolve("hub")));
        cache = new HubCache(disk.root());
    }

    private DeletionPlan planRepo(String id) throws IOException {
        CacheScan scan = cache.scan();
        return cache.planDeletion(
                scan, scan.repos().stream().filter(repo -> repo.id().equals(id)).toList(), List.of());
    }

    private DeletionPlan planRevisions(String... commits) throws IOException {
        CacheScan scan = cache.scan();
        return cache.planDeletion(
                scan,
                List.of(),
                scan.repos().stream()
                        .flatMap(repo -> repo.revisions().stream())
                        .filter(revision -> List.of(commits).contains(revision.commit()))
                        .toList());
    }

    @Test
    void planningDeletesNothing() throws IOException {
        List<String> before = disk.withTiny().files().toList();
        DeletionPlan plan = planRevisions(OLD);
        assertThat(plan.isEmpty()).isFalse();
        assertThat(plan.bytes()).isEqualTo(3 + 2 + 40 + 40);
        assertThat(disk.files()).containsExactlyElementsOf(before);
    }

    @Test
    void aRevisionTakesItsRefsItsNotesAndWhatNobodyElseUses() throws IOException {
        disk.withTiny();
        DeletionPlan plan = planRevisions(OLD);
        assertThat(plan.repos()).isEmpty();
        assertThat(plan.revisionCount()).isEqualTo(1);
        assertThat(cache.delete(plan)).isEqualTo(plan.bytes());
        assertThat(disk.files())
                .containsExactly(
                        "models--acme--tiny/blobs/new",
                        "models--acme--tiny/blobs/shared",
                        "models--acme--tiny/refs/main",
                        "models--acme--tiny/snapshots/" + NEW + "/config.json",
                        "models--acme--tiny/snapshots/" + NEW + "/sub/a.bin");
        assertThat(cache.scan().warnings()).isEmpty();
    }

    @Test
    void theRefGoesBeforeTheSnapshotAndTheSnapshotBeforeItsContent() throws IOException {
        disk.withTiny();
        List<Path> targets = planRevisions(OLD).targets();
        assertThat(targets.indexOf(disk.path("models--acme--tiny/refs/v1")))
                .isNotNegative()
                .isLessThan(targets.indexOf(disk.path("models--acme--tiny/snapshots/" + OLD)));
        assertThat(targets)
                .last()
                .isEqualTo(disk.path("models--acme--tiny/blobs/old").toRealPath());
    }

    @Test
    void theRepositoryGoesIfAllItsRevisionsGo() throws IOException {
        disk.withTiny().file("models--acme--tiny/blobs/x.incomplete", "12345678");
        DeletionPlan plan = planRevisions(OLD, NEW);
        assertThat(plan.repos()).extracting(CachedRepo::id).containsExactly("model/acme/tiny");
        assertThat(plan.revisions()).isEmpty();
        assertThat(plan.revisionCount()).isEqualTo(2);
        assertThat(plan.bytes()).isEqualTo(15 + 8 + 3 * 40 + 2);
        assertThat(cache.delete(plan)).isEqualTo(plan.bytes());
        assertThat(disk.root()).isEmptyDirectory();
    }

    @Test
    void contentInASnapshotItselfGoesWithIt() throws IOException {
        disk.file("models--a--b/snapshots/" + OLD + "/x", "1234");
        disk.file("models--a--b/snapshots/" + NEW + "/x", "12345");
        assertThat(cache.delete(planRevisions(OLD))).isEqualTo(4);
        assertThat(disk.files()).containsExactly("models--a--b/snapshots/" + NEW + "/x");
    }

    @Test
    void sharedContentStaysWhileAnyRepositoryUsesItEvenACorruptedOne() throws IOException {
        disk.file("blobs/ab/both", "1234");
        disk.file("blobs/ab/single", "123");
        disk.link("models--a--b/blobs/both", "../../blobs/ab/both");
        disk.link("models--a--b/snapshots/" + OLD + "/x", "../../blobs/both");
        disk.link("models--a--b/snapshots/" + OLD + "/y", "../../../blobs/ab/single");
        disk.file("models--a--b/snapshots/" + NEW + "/z", "1");
        disk.link("models--a--c/snapshots/" + OLD + "/x", "../../../blobs/ab/both");
        disk.link("models--a--c/snapshots/" + OLD + "/broken", "../../blobs/gone");
        CacheScan scan = cache.scan();
        assertThat(scan.repos()).extracting(CachedRepo::id).containsExactly("model/a/b");
        assertThat(cache.delete(cache.planDeletion(
                        scan, List.of(), scan.repos().get(0).revisions().subList(0, 1))))
                .isEqualTo(3);
        assertThat(disk.files())
                .containsExactly(
                        "blobs/ab/both",
                        "models--a--b/snapshots/" + NEW + "/z",
                        "models--a--c/snapshots/" + OLD + "/broken",
                        "models--a--c/snapshots/" + OLD + "/x");
    }

    @Test
    void aWholeRepositoryTakesSharedContentThatOnlyItUses() throws IOException {
        disk.file("blobs/ab/own", "1234");
        disk.link("models--a--b/snapshots/" + OLD + "/x", "../../../blobs/ab/own");
        assertThat(cache.delete(planRepo("model/a/b"))).isEqualTo(4);
        assertThat(disk.files()).isEmpty();
    }

    @Test
    void whatALinkLeadsToOutsideTheBlobsStays() throws IOException {
        Files.createDirectories(folder.resolve("secret"));
        Files.writeString(folder.resolve("secret/key"), "secret");
        disk.file("CACHEDIR.TAG", "tag");
        disk.withTiny();
        disk.link(
                "models--acme--tiny/snapshots/" + OLD + "/key",
                folder.resolve("secret/key").toString());
        disk.link(
                "models--acme--tiny/snapshots/" + OLD + "/dir",
                folder.resolve("secret").toString());
        disk.link("models--acme--tiny/snapshots/" + OLD + "/climb", "../../../../secret/key");
        disk.link("models--acme--tiny/snapshots/" + OLD + "/tag", "../../../CACHEDIR.TAG");
        disk.link("models--acme--tiny/snapshots/" + OLD + "/ref", "../../refs/main");
        DeletionPlan plan = planRevisions(OLD);
        assertThat(plan.bytes()).isEqualTo(3 + 2 + 40 + 40);
        cache.delete(plan);
        assertThat(folder.resolve("secret/key")).hasContent("secret");
        assertThat(disk.files()).contains("CACHEDIR.TAG", "models--acme--tiny/refs/main");
        assertThat(disk.path("models--acme--tiny/snapshots/" + OLD)).doesNotExist();
    }

    @Test
    void refusesARepositoryThatLiesBehindALink() throws IOException {
        CacheFolder elsewhere = new CacheFolder(folder.resolve("elsewhere")).withTiny();
        List<String> before = elsewhere.files().toList();
        disk.link("models--acme--tiny", elsewhere.path("models--acme--tiny").toString());
        assertThat(cache.scan().size()).isEqualTo(15);
        assertThatThrownBy(() -> planRepo("model/acme/tiny"))
                .isInstanceOf(IOException.class)
                .hasMessageContaining("outside the cache");
        assertThatThrownBy(() -> planRevisions(OLD))
                .isInstanceOf(IOException.class)
                .hasMessageContaining("outside the cache");
        assertThat(elsewhere.files()).containsExactlyElementsOf(before);
    }

    @Test
    void refusesToDeleteThroughAFolderThatBecameALinkAfterPlanning() throws IOException {
        disk.withTiny();
        DeletionPlan plan = planRevisions(OLD);
        Path moved = folder.resolve("moved");
        Files.move(disk.path("models--acme--tiny"), moved);
        disk.link("models--acme--tiny", moved.toString());
        assertThatThrownBy(() -> cache.delete(plan)).isInstanceOf(IOException.class);
        assertThat(moved.resolve("refs/v1")).exists();
    }

    @Test
    void worksInACacheThatIsReachedThroughALink() throws IOException {
        disk.withTiny();
        HubCache linked = new HubCache(Files.createSymbolicLink(folder.resolve("link"), disk.root()));
        CacheScan scan = linked.scan();
        List<CachedRevision> old = scan.repos().get(0).revisions().subList(0, 1);
        assertThat(linked.delete(linked.planDeletion(scan, List.of(), old))).isEqualTo(3 + 2 + 40 + 40);
        assertThat(disk.path("models--acme--tiny/blobs/old")).doesNotExist();
        assertThat(disk.path("models--acme--tiny/blobs/shared")).exists();
    }

    @Test
    void whatHasGoneInTheMeantimeIsNoError() throws IOException {
        disk.withTiny();
        DeletionPlan plan = planRevisions(OLD);
        Files.delete(disk.path("models--acme--tiny/blobs/old"));
        assertThat(cache.delete(plan)).isEqualTo(plan.bytes() - 3);
    }

    @Test
    void pruningTakesDetachedRevisionsAndAbandonedDownloads() throws IOException {
        disk.withTiny();
        Files.delete(disk.path("models--acme--tiny/refs/v1"));
        Files.delete(disk.path("models--acme--tiny/refs/refs/pr/1"));
        disk.blob("models--acme--tiny", "aaa.incomplete", "12");
        disk.blob("models--acme--tiny", "aaa.ranges.incomplete", "1");
        disk.blob("models--acme--tiny", "bbb.d2af863f.incomplete", "123");
        disk.blob("models--a--nosnapshots", "ccc.incomplete", "1234");
        disk.file(".locks/models--acme--tiny/aaa.lock", "");
        DeletionPlan plan = cache.planPrune(cache.scan());
        assertThat(plan.revisions()).extracting(CachedRevision::commit).containsExactly(OLD);
        assertThat(plan.partialFiles()).hasSize(4);
        assertThat(plan.bytes()).isEqualTo(3 + 2 + 2 + 1 + 3 + 4);
        assertThat(cache.delete(plan)).isEqualTo(plan.bytes());
        assertThat(disk.files().filter(file -> file.contains("/blobs/")))
                .containsExactly("models--acme--tiny/blobs/new", "models--acme--tiny/blobs/shared");
        assertThat(cache.planPrune(cache.scan()).isEmpty()).isTrue();
    }

    @Test
    void pruningSparesADownloadThatIsUnderWay() throws IOException {
        disk.withTiny();
        disk.blob("models--acme--tiny", "aaa.incomplete", "12");
        disk.blob("models--acme--tiny", "aaa.ranges.incomplete", "1");
        Path lockFile = disk.file(".locks/models--acme--tiny/aaa.lock", "");
        DeletionPlan planned = cache.planPrune(cache.scan());
        try (FileChannel channel = FileChannel.open(lockFile, StandardOpenOption.WRITE);
                FileLock lock = channel.lock()) {
            assertThat(lock.isValid()).isTrue();
            assertThat(cache.planPrune(cache.scan()).isEmpty()).isTrue();
            assertThat(planned.partialFiles()).hasSize(2);
            assertThat(cache.delete(planned)).isZero();
        }
        assertThat(disk.files())
                .contains("models--acme--tiny/blobs/aaa.incomplete", "models--acme--tiny/blobs/aaa.ranges.incomplete");
    }

    @Test
    void pruningDoesNotFollowLinks() throws IOException {
        Files.createDirectories(folder.resolve("elsewhere"));
        Files.writeString(folder.resolve("elsewhere/a.incomplete"), "1");
        disk.link("models--a--b/blobs", folder.resolve("elsewhere").toString());
        disk.link(
                "models--a--c/blobs/x.incomplete",
                folder.resolve("elsewhere/a.incomplete").toString());
        assertThat(cache.planPrune(cache.scan()).isEmpty()).isTrue();
        assertThat(new HubCache(folder.resolve("none"))
                        .planPrune(new CacheScan(List.of(), List.of()))
                        .isEmpty())
                .isTrue();
    }
}
