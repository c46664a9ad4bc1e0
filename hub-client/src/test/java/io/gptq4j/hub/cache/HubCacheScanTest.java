package io.gptq4j.hub.cache;

import static io.gptq4j.hub.cache.CacheFolder.NEW;
import static io.gptq4j.hub.cache.CacheFolder.OLD;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.tuple;

import io.gptq4j.hub.repo.Repo;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.time.Instant;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class HubCacheScanTest {
    @TempDir
    Path folder;

    private CacheFolder disk = new CacheFolder(Path.of(""));

    @BeforeEach
    void nameTheCache() throws IOException {
        disk = new CacheFolder(Files.createDirectory(folder.resolve("hub")));
    }

    private CacheScan scan() throws IOException {
        return new HubCache(disk.root()).scan();
    }

    @Test
    void countsSharedContentOnceForTheRepositoryAndOnceForEachRevision() throws IOException {
        disk.withTiny();
        CacheScan scan = scan();
        assertThat(scan.warnings()).isEmpty();
        assertThat(scan.size()).isEqualTo(15);
        CachedRepo repo = scan.repos().get(0);
        assertThat(repo.repo()).isEqualTo(Repo.model("acme/tiny"));
        assertThat(repo.id()).isEqualTo("model/acme/tiny");
        assertThat(repo.size()).isEqualTo(15);
        assertThat(repo.revisions()).extracting(CachedRevision::commit).containsExactly(OLD, NEW);
        assertThat(repo.revisions()).extracting(CachedRevision::size).containsExactly(8L, 12L);
        assertThat(repo.revisions().get(0).refs()).containsExactly("refs/pr/1", "v1");
        assertThat(repo.revisions().get(1).refs()).containsExactly("main");
        assertThat(repo.revisions().get(1).files())
                .extracting(CachedFile::path)
                .containsExactly("config.json", "sub/a.bin");
        assertThat(repo.revisions().get(1).snapshot()).isEqualTo(disk.path("models--acme--tiny/snapshots/" + NEW));
    }

    @Test
    void takesTheTimesOfTheContent() throws IOException {
        disk.withTiny();
        Files.setLastModifiedTime(disk.path("models--acme--tiny/blobs/shared"), time("2024-01-02T00:00:00Z"));
        Files.setLastModifiedTime(disk.path("models--acme--tiny/blobs/old"), time("2024-01-01T00:00:00Z"));
        Files.setLastModifiedTime(disk.path("models--acme--tiny/blobs/new"), time("2024-01-03T00:00:00Z"));
        CachedRepo repo = scan().repos().get(0);
        assertThat(repo.lastModified()).isEqualTo("2024-01-03T00:00:00Z");
        assertThat(repo.revisions())
                .extracting(CachedRevision::lastModified)
                .containsExactly(Instant.parse("2024-01-02T00:00:00Z"), Instant.parse("2024-01-03T00:00:00Z"));
    }

    private static FileTime time(String text) {
        return FileTime.from(Instant.parse(text));
    }

    @Test
    void readsACacheWithoutLinks() throws IOException {
        disk.file("datasets--squad/snapshots/" + OLD + "/data/a.txt", "12345");
        disk.file("datasets--squad/refs/main", OLD);
        CachedRepo repo = scan().repos().get(0);
        assertThat(repo.id()).isEqualTo("dataset/squad");
        assertThat(repo.size()).isEqualTo(5);
        assertThat(repo.revisions().get(0).files())
                .singleElement()
                .satisfies(file -> assertThat(file.blob())
                        .isEqualTo(disk.path("datasets--squad/snapshots/" + OLD + "/data/a.txt")
                                .toRealPath()));
    }

    @Test
    void followsLinksToContentThatRepositoriesShare() throws IOException {
        disk.file("blobs/ab/abc", "1234");
        disk.link("models--a--b/blobs/abc", "../../blobs/ab/abc");
        disk.link("models--a--b/snapshots/" + OLD + "/x", "../../blobs/abc");
        disk.link("models--a--c/snapshots/" + OLD + "/x", "../../../blobs/ab/abc");
        assertThat(scan().repos())
                .extracting(CachedRepo::id, CachedRepo::size)
                .containsExactly(tuple("model/a/b", 4L), tuple("model/a/c", 4L));
        assertThat(scan().warnings()).isEmpty();
    }

    @Test
    void sortsByTypeAndNameAndPassesOverWhatIsNoRepository() throws IOException {
        for (String name : List.of("spaces--b--s", "models--gpt2", "models--a--m", "datasets--z--d")) {
            disk.file(name + "/snapshots/" + OLD + "/x", "1");
        }
        disk.file("CACHEDIR.TAG", "Signature");
        disk.file("version.txt", "1");
        disk.file(".locks/models--a--m/x.lock", "");
        disk.file("models--a--m/snapshots/.DS_Store", "junk");
        disk.file("models--a--m/refs/Thumbs.db", "junk");
        assertThat(scan().repos())
                .extracting(CachedRepo::id)
                .containsExactly("dataset/z/d", "model/a/m", "model/gpt2", "space/b/s");
        assertThat(scan().warnings()).isEmpty();
    }

    @Test
    void aCacheThatIsNotThereIsEmpty() throws IOException {
        assertThat(new HubCache(folder.resolve("none")).scan()).isEqualTo(new CacheScan(List.of(), List.of()));
    }

    @Test
    void leavesCorruptedFoldersOutAndSaysWhy() throws IOException {
        Files.createDirectories(disk.path("stray"));
        Files.createDirectories(disk.path("buckets--a--b/snapshots"));
        Files.createDirectories(disk.path("models--..--etc/snapshots"));
        Files.createDirectories(disk.path("models--a--nosnapshots/blobs"));
        disk.file("models--a--file/snapshots/README.md", "x");
        disk.link("models--a--broken/snapshots/" + OLD + "/x", "../../blobs/gone");
        disk.link("models--a--loop/snapshots/" + OLD + "/x", "x");
        disk.file("models--a--ref/refs/main", "x".repeat(2000));
        Files.createDirectories(disk.path("models--a--ref/snapshots"));
        disk.link("models--a--device/snapshots/" + OLD + "/x", "/dev/null");
        disk.file("models--a--good/snapshots/" + OLD + "/x", "1");
        CacheScan scan = scan();
        assertThat(scan.repos()).extracting(CachedRepo::id).containsExactly("model/a/good");
        assertThat(scan.warnings())
                .hasSize(9)
                .allMatch(warning -> warning.contains("left out"))
                .anyMatch(warning -> warning.contains("stray") && warning.contains("not that of a repository"))
                .anyMatch(warning -> warning.contains("buckets--a--b") && warning.contains("not that of a repository"))
                .anyMatch(warning -> warning.contains("models--..--etc"))
                .anyMatch(warning -> warning.contains("nosnapshots") && warning.contains("no folder snapshots"))
                .anyMatch(warning -> warning.contains("a--file") && warning.contains("README.md"))
                .anyMatch(warning -> warning.contains("a--broken") && warning.contains("leads nowhere"))
                .anyMatch(warning -> warning.contains("a--loop") && warning.contains("leads nowhere"))
                .anyMatch(warning -> warning.contains("a--ref") && warning.contains("commit hash"))
                .anyMatch(warning -> warning.contains("a--device") && warning.contains("no ordinary file"));
    }

    @Test
    void listsARepositoryWhoseDownloadFailedAfterItsRefWasWritten() throws IOException {
        disk.withTiny().file("models--acme--tiny/refs/dev", "3333333333333333333333333333333333333333");
        CacheScan scan = scan();
        assertThat(scan.repos()).extracting(CachedRepo::id).containsExactly("model/acme/tiny");
        assertThat(scan.warnings()).singleElement().asString().contains("not there: dev");
    }

    @Test
    void doesNotDescendIntoFoldersThatALinkLeadsTo() throws IOException {
        Files.createDirectories(folder.resolve("secret"));
        Files.writeString(folder.resolve("secret/key"), "secret");
        disk.withTiny()
                .link(
                        "models--acme--tiny/snapshots/" + NEW + "/etc",
                        folder.resolve("secret").toString());
        CacheScan scan = scan();
        assertThat(scan.size()).isEqualTo(15);
        assertThat(scan.repos().get(0).revisions().get(1).files())
                .extracting(CachedFile::path)
                .containsExactly("config.json", "sub/a.bin");
    }
}
