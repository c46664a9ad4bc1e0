package io.gptq4j.it;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** The rules of CONTRIBUTING.md that a machine can see in the sources. */
class HouseRulesTest {
    private static final Path ROOT = SourceTree.root();
    private static final int MOST_README_LINES = 150;
    private static final int MOST_ADR_LINES = 40;

    /** Spelt so that this file obeys the rule it holds. */
    private static final Pattern UNFINISHED = Pattern.compile("\\b(TO" + "DO|FIX" + "ME|XX" + "X)\\b");

    private static final Pattern LINK = Pattern.compile("\\]\\(([^)#\\s]+)(#[^)]*)?\\)");

    @Test
    void everyPackageSaysWhatItIsFor() throws IOException {
        Set<Path> packages = new TreeSet<>();
        for (Path source : SourceTree.sources(".java")) {
            if (source.toString().contains(Path.of("src", "main", "java").toString())) {
                packages.add(source.getParent());
            }
        }
        assertThat(packages).isNotEmpty();
        for (Path directory : packages) {
            Path info = directory.resolve("package-info.java");
            assertThat(info).exists();
            assertThat(info).content().contains("/**", "@NullMarked");
        }
    }

    @Test
    void nothingIsLeftForLater() throws IOException {
        List<String> found = new ArrayList<>();
        for (Path source : SourceTree.sources(".java", ".xml", ".properties", ".sh", ".md")) {
            int number = 0;
            for (String line : Files.readAllLines(source)) {
                number++;
                if (UNFINISHED.matcher(line).find()) {
                    found.add(ROOT.relativize(source) + ":" + number + ": " + line.strip());
                }
            }
        }
        assertThat(found).isEmpty();
    }

    @Test
    void theReadmeFitsOnAFewScreens() throws IOException {
        assertThat(Files.readAllLines(ROOT.resolve("README.md"))).hasSizeLessThanOrEqualTo(MOST_README_LINES);
    }

    @Test
    void decisionsAreShortAndComplete() throws IOException {
        try (Stream<Path> decisions = Files.list(ROOT.resolve(Path.of("docs", "adr")))) {
            assertThat(decisions).isNotEmpty().allSatisfy(decision -> {
                assertThat(Files.readAllLines(decision))
                        .as(decision.toString())
                        .hasSizeLessThanOrEqualTo(MOST_ADR_LINES);
                assertThat(decision).content().contains("## Context", "## Decision", "## Consequences");
            });
        }
    }

    @Test
    void linksInTheDocumentsLeadSomewhere() throws IOException {
        List<Path> documents = new ArrayList<>();
        for (String directory : List.of("", "docs", "docs/adr", "examples")) {
            try (Stream<Path> files = Files.list(ROOT.resolve(directory))) {
                files.filter(file -> file.toString().endsWith(".md")).forEach(documents::add);
            }
        }
        assertThat(documents).contains(ROOT.resolve("README.md"), ROOT.resolve("ARCHITECTURE.md"));
        for (Path document : documents) {
            Matcher link = LINK.matcher(Files.readString(document));
            while (link.find()) {
                if (!link.group(1).contains("://")) {
                    assertThat(document.resolveSibling(link.group(1)))
                            .as(document + " links to " + link.group(1))
                            .exists();
                }
            }
        }
    }
}
