package io.gptq4j.hub.cache;

import io.gptq4j.hub.internal.io.ContentHash;
import io.gptq4j.hub.repo.RepoFile;
import java.io.IOException;
import java.io.InterruptedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/** Compares the files of a folder with what the Hub says about them, several at a time. */
final class Verifier {
    /** More would only make a disk seek. */
    private static final int THREADS = 4;

    private Verifier() {}

    /**
     * Compares.
     *
     * @param ignored a folder below that does not count, or null
     */
    static Verification verify(Path folder, @Nullable String ignored, List<RepoFile> expected, Consumer<String> onFile)
            throws IOException {
        TreeSet<String> present = new TreeSet<>();
        for (Path file : Scanner.filesBelow(folder)) {
            String path = folder.relativize(file).toString().replace('\\', '/');
            if (!Files.isDirectory(file) && (ignored == null || !path.startsWith(ignored + "/"))) {
                present.add(path);
            }
        }
        Map<String, Future<Verification.@Nullable Mismatch>> comparisons = new TreeMap<>();
        TreeSet<String> missing = new TreeSet<>();
        ExecutorService threads = Executors.newFixedThreadPool(THREADS);
        try {
            for (RepoFile file : expected) {
                Path local = folder.resolve(file.path());
                present.remove(file.path());
                if (Files.isRegularFile(local)) {
                    comparisons.put(file.path(), threads.submit(() -> {
                        Verification.@Nullable Mismatch mismatch = compare(local, file);
                        onFile.accept(file.path());
                        return mismatch;
                    }));
                } else {
                    missing.add(file.path());
                }
            }
            List<Verification.Mismatch> mismatches = new ArrayList<>();
            for (Future<Verification.@Nullable Mismatch> comparison : comparisons.values()) {
                Verification.@Nullable Mismatch mismatch = get(comparison);
                if (mismatch != null) {
                    mismatches.add(mismatch);
                }
            }
            return new Verification(folder, comparisons.size(), mismatches, List.copyOf(missing), List.copyOf(present));
        } finally {
            threads.shutdownNow();
        }
    }

    private static Verification.@Nullable Mismatch compare(Path local, RepoFile file) throws IOException {
        long size = Files.size(local);
        if (size != file.size()) {
            return new Verification.Mismatch(file.path(), "size", file.size() + " bytes", size + " bytes");
        }
        String algorithm = file.sha256() != null ? "sha256" : "git-sha1";
        String actual = file.sha256() != null
                ? ContentHash.sha256().of(local)
                : ContentHash.gitBlob(file.size()).of(local);
        return actual.equalsIgnoreCase(file.etag())
                ? null
                : new Verification.Mismatch(file.path(), algorithm, file.etag(), actual);
    }

    private static <T extends @Nullable Object> T get(Future<T> future) throws IOException {
        try {
            if (Thread.interrupted()) { // get() does not look where there is nothing to wait for
                throw new InterruptedException();
            }
            return future.get();
        } catch (ExecutionException e) {
            if (e.getCause() instanceof IOException failure) {
                throw failure;
            }
            if (e.getCause() instanceof Error error) {
                throw error;
            }
            throw new IllegalStateException("Comparing files failed", e.getCause());
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new InterruptedIOException("Interrupted while comparing files");
        }
    }
}
