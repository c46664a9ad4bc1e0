package io.gptq4j.it;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.api.parallel.Execution;
import org.junit.jupiter.api.parallel.ExecutionMode;

/** A repository of many small files. */
@Execution(ExecutionMode.CONCURRENT) // beside the other classes that start Java again and again
class ManyFilesIT {
    private static final int FILES = 5000;

    @TempDir
    Path directory;

    @Test
    void fiveThousandSmallFilesComeInOneSnapshot() throws Exception {
        Map<String, String> contents = new TreeMap<>();
        for (int i = 0; i < FILES; i++) {
            contents.put("part-" + i % 50 + "/" + i + ".txt", "file " + i + "\n");
        }
        try (HubBench bench = new HubBench(directory)) {
            bench.hub().repo("acme/many").commit("main", "seed", contents);
            long before = System.nanoTime();
            Cli.Result result = bench.alice().run("download", "acme/many", "-q");
            double seconds = (System.nanoTime() - before) / 1e9;
            assertThat(result.exitCode()).as(result.err()).isZero();
            Path folder = Path.of(result.out().strip());
            for (Map.Entry<String, String> file : contents.entrySet()) {
                assertThat(folder.resolve(file.getKey())).hasContent(file.getValue());
            }
            assertThat(HubBench.files(folder)).hasSize(FILES + 1); // .gitattributes
            assertThat(bench.hub().requests("HEAD", "")).isEmpty();
            assertThat(bench.hub().requests("GET", "/tree/")).hasSize(6);
            System.out.printf(Locale.ROOT, "%d small files in %.1f s, Java's start included%n", FILES, seconds);
        }
    }
}
