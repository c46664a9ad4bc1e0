package io.gptq4j.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.gptq4j.hub.error.HubException;
import io.gptq4j.hub.repo.Repo;
import io.gptq4j.hub.transfer.CommitOperation;
import io.gptq4j.hub.transfer.CommitRequest;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.CountDownLatch;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

@Timeout(60)
class ShardUploadsTest {
    private static final CommitRequest TARGET = CommitRequest.of(Repo.model("me/m"), List.of(), "it");
    private static final String SHA256 = "df3598cd66f1bb5bc4e2c17be89b7c7ecf0c81e53939f471a6b72db8d139edae";

    @TempDir
    Path directory;

    private Path shard(int number) throws IOException {
        return Files.writeString(directory.resolve(number + ".safetensors"), "shard");
    }

    /** What the Hub answers for files that it takes. */
    private static CommitRequest taken(CommitRequest request) {
        return request.changing(request.operations().stream()
                .<CommitOperation>map(add -> new CommitOperation.Staged(add.path(), SHA256, 5))
                .toList());
    }

    @Test
    void whatIsUploadedIsNamedInOrderAndDeleted() throws IOException {
        try (ShardUploads uploads = new ShardUploads(ShardUploadsTest::taken, TARGET, false)) {
            uploads.finished(shard(2));
            uploads.finished(shard(1));
            uploads.await();
            assertThat(uploads.staged())
                    .containsExactly(
                            new CommitOperation.Staged("2.safetensors", SHA256, 5),
                            new CommitOperation.Staged("1.safetensors", SHA256, 5));
            assertThat(uploads.most()).isEqualTo(3);
        }
        assertThat(directory).isEmptyDirectory();
    }

    @Test
    void filesStayWhereTheArtifactDoes() throws IOException {
        try (ShardUploads uploads = new ShardUploads(ShardUploadsTest::taken, TARGET, true)) {
            uploads.finished(shard(1));
            uploads.await();
            assertThat(uploads.staged()).hasSize(1);
            assertThat(uploads.most()).isEqualTo(Integer.MAX_VALUE);
        }
        assertThat(directory.resolve("1.safetensors")).exists();
    }

    @Test
    void aFileThatTravelsWithTheCommitStays() throws IOException {
        try (ShardUploads uploads = new ShardUploads(request -> request, TARGET, false)) {
            uploads.finished(shard(1));
            uploads.await();
            assertThat(uploads.staged()).isEmpty();
        }
        assertThat(directory.resolve("1.safetensors")).exists();
    }

    @Test
    void aSlowLineHoldsTheThirdFileBack() throws Exception {
        CountDownLatch fast = new CountDownLatch(1);
        CountDownLatch begun = new CountDownLatch(1);
        List<String> given = new CopyOnWriteArrayList<>();
        try (ShardUploads uploads = new ShardUploads(
                request -> {
                    begun.countDown();
                    try {
                        fast.await();
                    } catch (InterruptedException e) {
                        throw new InterruptedIOException();
                    }
                    return taken(request);
                },
                TARGET,
                false)) {
            uploads.finished(shard(1));
            begun.await();
            Thread run = new Thread(() -> {
                try {
                    for (int number = 2; number <= 4; number++) {
                        uploads.finished(shard(number));
                        given.add(number + " is given");
                    }
                } catch (IOException e) {
                    given.add(e.toString());
                }
            });
            run.start();
            while (run.getState() != Thread.State.WAITING) {
                assertThat(run.isAlive()).isTrue();
                Thread.onSpinWait();
            }
            assertThat(given).containsExactly("2 is given");
            assertThat(directory.resolve("4.safetensors")).doesNotExist();
            fast.countDown();
            run.join();
            uploads.await();
            assertThat(uploads.staged()).hasSize(4);
        }
        assertThat(given).containsExactly("2 is given", "3 is given", "4 is given");
    }

    @Test
    void afterAFailureNothingIsUploadedAndTheRunHears() throws IOException {
        List<String> asked = new ArrayList<>();
        ShardUploads.Stage refusing = request -> {
            asked.add(request.operations().get(0).path());
            throw new HubException("over quota");
        };
        try (ShardUploads uploads = new ShardUploads(refusing, TARGET, false)) {
            assertThatCode(uploads::requireAlive).doesNotThrowAnyException();
            uploads.finished(shard(1));
            uploads.await();
            assertThatThrownBy(uploads::requireAlive).hasMessage("over quota");
            assertThatThrownBy(() -> uploads.finished(shard(2))).hasMessage("over quota");
            assertThatThrownBy(uploads::staged).hasMessage("over quota");
        }
        asked.clear();
        try (ShardUploads uploads = new ShardUploads(refusing, TARGET, true)) {
            for (int number = 1; number <= 4; number++) {
                uploads.finished(shard(number));
            }
            uploads.requireAlive(); // the artifact is worth it without the Hub
            uploads.await();
            assertThatThrownBy(uploads::staged).hasMessage("over quota");
        }
        assertThat(asked).containsExactly("1.safetensors");
    }

    @Test
    void closingBreaksOffWhatIsOnItsWay() throws Exception {
        CountDownLatch begun = new CountDownLatch(1);
        CompletableFuture<String> ended = new CompletableFuture<>();
        ShardUploads uploads = new ShardUploads(
                request -> {
                    begun.countDown();
                    try {
                        new CountDownLatch(1).await();
                    } catch (InterruptedException e) {
                        ended.complete("broken off");
                    }
                    throw new InterruptedIOException();
                },
                TARGET,
                false);
        uploads.finished(shard(1));
        begun.await();
        uploads.close();
        assertThat(ended).isCompletedWithValue("broken off");
        assertThatThrownBy(uploads::requireAlive).isInstanceOf(InterruptedIOException.class);
    }

    @Test
    void aFaultOfOursIsNotSwallowed() throws IOException {
        try (ShardUploads uploads = new ShardUploads(
                request -> {
                    throw new IllegalStateException("a slip");
                },
                TARGET,
                false)) {
            uploads.finished(shard(1));
            uploads.await();
            assertThatThrownBy(uploads::staged).isInstanceOf(IOException.class).hasMessageContaining("a slip");
        }
    }
}
