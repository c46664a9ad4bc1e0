package io.gptq4j.it;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.lang.reflect.Method;
import java.nio.file.Files;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;

/** docs/hub-conformance.md and the tests that it names. */
class ConformanceTableTest {
    private static final Pattern ROW = Pattern.compile("\\| (\\d+) \\|.*");
    private static final Pattern TEST = Pattern.compile("`(Conformance\\w+IT\\.\\w+)`");

    private static List<String> rows() throws IOException {
        return Files.readAllLines(SourceTree.root().resolve("docs/hub-conformance.md")).stream()
                .filter(line -> ROW.matcher(line).matches())
                .toList();
    }

    private static List<String> tests(String row) {
        return TEST.matcher(row).results().map(found -> found.group(1)).toList();
    }

    @Test
    void allCasesAreThere() throws IOException {
        assertThat(rows().stream().map(row -> {
                    Matcher matcher = ROW.matcher(row);
                    assertThat(matcher.matches()).isTrue();
                    return Integer.valueOf(matcher.group(1));
                }))
                .containsExactly(
                        1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 19, 20, 22, 23, 25, 26, 27, 28, 30,
                        31, 33, 34, 35, 36, 37, 38, 39, 40, 42, 43, 44, 45, 48, 49, 50, 52, 53, 54, 55, 56, 57, 58);
        assertThat(rows()).allSatisfy(row -> {
            assertThat(row.chars().filter(c -> c == '|').count()).isEqualTo(7);
            assertThat(tests(row)).isNotEmpty();
        });
    }

    @Test
    void eachCaseNamesTestsThatExistAndEachTestIsNamed() throws IOException {
        List<String> named = new ArrayList<>();
        for (String row : rows()) {
            named.addAll(tests(row));
        }
        List<String> existing = Stream.of(
                        ConformanceCommandIT.class,
                        ConformanceDownloadIT.class,
                        ConformanceFaultIT.class,
                        ConformanceUploadIT.class)
                .flatMap(type -> Arrays.stream(type.getDeclaredMethods()))
                .filter(method ->
                        method.isAnnotationPresent(Test.class) || method.isAnnotationPresent(ParameterizedTest.class))
                .map(ConformanceTableTest::name)
                .toList();
        assertThat(named).containsExactlyInAnyOrderElementsOf(existing);
    }

    private static String name(Method method) {
        return method.getDeclaringClass().getSimpleName() + "." + method.getName();
    }
}
