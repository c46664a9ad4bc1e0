package io.gptq4j.it;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class DistributionIT {
    private final Cli cli = new Cli();

    @Test
    void tellsItsVersion() throws Exception {
        Cli.Result result = cli.run("--version");
        assertThat(result.exitCode()).isZero();
        assertThat(result.out()).matches("gptq4j \\d+\\.\\d+\\.\\d+\\S*\\RJava .*\\R");
        assertThat(result.err()).isEmpty();
    }

    @Test
    void helpComesWithoutTheTensorLibrary() throws Exception {
        Cli.Result result = cli.with("GPTQ4J_OPTS", "-verbose:class").run("--help");
        assertThat(result.exitCode()).isZero();
        assertThat(result.out())
                .contains("Usage: gptq4j", "Exit codes:", "io.gptq4j.cli.Main source:")
                .doesNotContain("ai.djl.", "com.sun.jna.");
    }

    @Test
    void aWrongCommandEndsWithTwo() throws Exception {
        Cli.Result result = cli.run("quantise");
        assertThat(result.exitCode()).isEqualTo(2);
        assertThat(result.out()).isEmpty();
        assertThat(result.err()).contains("'quantise'", "Try 'gptq4j --help'.");
    }

    @Test
    void runsThroughALinkFromADirectoryWithASpace(@TempDir Path directory) throws Exception {
        Path link = Files.createDirectory(directory.resolve("my tools")).resolve("g");
        Files.createSymbolicLink(link, cli.program());
        Cli.Result result = cli.through(link).run("--version");
        Files.delete(link);
        assertThat(result.exitCode()).isZero();
    }

    @Test
    void explainsAJavaHomeWithoutJava(@TempDir Path directory) throws Exception {
        Cli.Result result = cli.with("JAVA_HOME", directory.toString()).run("--version");
        assertThat(result.exitCode()).isEqualTo(1);
        assertThat(result.err()).contains("JAVA_HOME is " + directory).hasLineCount(1);
    }

    @Test
    void refusesAJavaThatIsTooOld(@TempDir Path directory) throws Exception {
        Path java = Files.createDirectory(directory.resolve("bin")).resolve("java");
        Files.writeString(java, "#!/bin/sh\necho 'openjdk version \"11.0.2\" 2019-01-15' >&2\n");
        assertThat(java.toFile().setExecutable(true)).isTrue();
        Cli.Result result = cli.with("JAVA_HOME", directory.toString()).run("--version");
        assertThat(result.exitCode()).isEqualTo(1);
        assertThat(result.err()).contains("is Java 11.0.2", "Install Java 17");
    }

    @Test
    void readsArgumentsAsUtf8WithoutALocale() throws Exception {
        Cli.Result result = cli.with("LC_ALL", "C").run("größe");
        assertThat(result.err()).contains("'größe'");
    }

    @Test
    void carriesItsLicencesAndEachJarOnce() throws IOException {
        Path home = cli.program().resolve("../..").normalize();
        assertThat(home.resolve("LICENSE")).content().contains("Apache License");
        assertThat(home.resolve("NOTICE")).content().contains("libtorch");
        assertThat(home.resolve("README.md")).exists();
        try (Stream<Path> jars = Files.list(home.resolve("lib"))) {
            assertThat(jars.map(jar -> jar.getFileName().toString().replaceFirst("-\\d.*", "")))
                    .contains("gptq4j-cli", "gptq4j-engine", "gptq4j-converter", "gptq4j-hub-client")
                    .doesNotHaveDuplicates();
        }
    }
}
