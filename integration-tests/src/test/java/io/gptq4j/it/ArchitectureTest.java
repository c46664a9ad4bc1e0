package io.gptq4j.it;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;
import static org.assertj.core.api.Assertions.assertThat;

import com.tngtech.archunit.base.DescribedPredicate;
import com.tngtech.archunit.core.domain.Dependency;
import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.domain.JavaCodeUnit;
import com.tngtech.archunit.core.domain.JavaField;
import com.tngtech.archunit.core.domain.JavaModifier;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/** The arrows of ARCHITECTURE.md, held against the compiled classes. */
class ArchitectureTest {
    /** Whom each module may know besides itself. */
    private static final Map<String, Set<String>> ARROWS = Map.of(
            "hub-client", Set.of(),
            "converter", Set.of(),
            "gptq-engine", Set.of("converter"),
            "cli", Set.of("hub-client", "converter", "gptq-engine"));

    /** What may stand in a public signature of a library module: the JDK, annotations and our own types. */
    private static final List<String> SIGNATURE_PACKAGES = List.of("java.", "io.gptq4j.", "org.jspecify.");

    private static final JavaClasses CLASSES = new ClassFileImporter()
            .importPaths(ARROWS.keySet().stream()
                    .map(ArchitectureTest::compiled)
                    .filter(Files::isDirectory)
                    .toList());

    private static final Map<String, String> MODULE_OF_CLASS = new HashMap<>();

    @BeforeAll
    static void assignClassesToModules() {
        for (JavaClass type : CLASSES) {
            String location = type.getSource().orElseThrow().getUri().toString();
            ARROWS.keySet().stream()
                    .filter(module ->
                            location.startsWith(compiled(module).toUri().toString()))
                    .forEach(module -> MODULE_OF_CLASS.put(type.getName(), module));
        }
    }

    private static Path compiled(String module) {
        return SourceTree.root().resolve(Path.of(module, "target", "classes"));
    }

    private static Stream<JavaClass> classesOf(String... modules) {
        List<String> wanted = List.of(modules);
        return CLASSES.stream().filter(type -> wanted.contains(MODULE_OF_CLASS.get(type.getName())));
    }

    @Test
    void findsTheClassesOfEveryModuleThatHasSources() {
        for (String module : ARROWS.keySet()) {
            if (Files.isDirectory(SourceTree.root().resolve(Path.of(module, "src", "main", "java")))) {
                assertThat(classesOf(module)).as(module).isNotEmpty();
            }
        }
    }

    @Test
    void modulesKnowOnlyWhomTheArrowsAllow() {
        List<String> violations = new ArrayList<>();
        ARROWS.forEach((module, allowed) -> {
            for (Dependency dependency : dependenciesOf(module)) {
                String target = MODULE_OF_CLASS.get(
                        dependency.getTargetClass().getBaseComponentType().getName());
                if (target != null && !target.equals(module) && !allowed.contains(target)) {
                    violations.add(module + " must not know " + target + ": " + dependency.getDescription());
                }
            }
        });
        assertThat(violations).isEmpty();
    }

    @Test
    void nobodyUsesAnotherModulesInternalPackages() {
        List<String> violations = new ArrayList<>();
        for (String module : ARROWS.keySet()) {
            for (Dependency dependency : dependenciesOf(module)) {
                JavaClass target = dependency.getTargetClass().getBaseComponentType();
                String targetModule = MODULE_OF_CLASS.getOrDefault(target.getName(), module);
                if (!targetModule.equals(module)
                        && List.of(target.getPackageName().split("\\.")).contains("internal")) {
                    violations.add(dependency.getDescription());
                }
            }
        }
        assertThat(violations).isEmpty();
    }

    @Test
    void noPackageIsSplitOverTwoModules() {
        Map<String, Set<String>> modulesOfPackage = new HashMap<>();
        ARROWS.keySet()
                .forEach(module -> classesOf(module)
                        .forEach(type -> modulesOfPackage
                                .computeIfAbsent(type.getPackageName(), name -> new TreeSet<>())
                                .add(module)));
        assertThat(modulesOfPackage)
                .allSatisfy((name, modules) -> assertThat(modules).as(name).hasSize(1));
    }

    @Test
    void onlyTheEngineKnowsTheTensorLibrary() {
        assertThat(usersOf("ai.djl.", "hub-client", "converter", "cli")).isEmpty();
    }

    @Test
    void onlyTheCommandLineKnowsPicocliAndLogback() {
        assertThat(usersOf("picocli.", "hub-client", "converter", "gptq-engine"))
                .isEmpty();
        assertThat(usersOf("ch.qos.logback.", "hub-client", "converter", "gptq-engine"))
                .isEmpty();
    }

    @Test
    void publicSignaturesOfTheLibrariesHoldOnlyJdkTypesAndOurOwn() {
        List<String> violations = new ArrayList<>();
        classesOf("hub-client", "converter", "gptq-engine")
                .filter(ArchitectureTest::isPublic)
                .forEach(type -> {
                    signatureTypes(type)
                            .filter(used -> !used.isPrimitive()
                                    && SIGNATURE_PACKAGES.stream().noneMatch(used.getName()::startsWith))
                            .forEach(used -> violations.add(type.getName() + " shows " + used.getName()));
                });
        assertThat(violations).isEmpty();
    }

    @Test
    void packagesHaveNoCycles() {
        slices().matching("io.gptq4j.(**)").should().beFreeOfCycles().check(CLASSES);
    }

    @Test
    void librariesNeitherPrintNorEndTheProcess() {
        noClasses()
                .that(DescribedPredicate.describe(
                        "are of a library module", type -> !"cli".equals(MODULE_OF_CLASS.get(type.getName()))))
                .should()
                .accessField(System.class, "out")
                .orShould()
                .accessField(System.class, "err")
                .orShould()
                .callMethod(System.class, "exit", int.class)
                .check(CLASSES);
    }

    private static Set<Dependency> dependenciesOf(String module) {
        Set<Dependency> dependencies = new TreeSet<>();
        classesOf(module).forEach(type -> dependencies.addAll(type.getDirectDependenciesFromSelf()));
        return dependencies;
    }

    private static List<String> usersOf(String prefix, String... modules) {
        return classesOf(modules)
                .flatMap(type -> type.getDirectDependenciesFromSelf().stream())
                .filter(dependency -> dependency.getTargetClass().getName().startsWith(prefix))
                .map(Dependency::getDescription)
                .toList();
    }

    /** Whether code outside the module can name this class: it and all classes around it are public. */
    private static boolean isPublic(JavaClass type) {
        return type.getModifiers().contains(JavaModifier.PUBLIC)
                && type.getEnclosingClass().map(ArchitectureTest::isPublic).orElse(true)
                && !List.of(type.getPackageName().split("\\.")).contains("internal");
    }

    private static Stream<JavaClass> signatureTypes(JavaClass type) {
        Stream<JavaClass> parents = Stream.concat(type.getRawSuperclass().stream(), type.getRawInterfaces().stream());
        Stream<JavaClass> fields = type.getFields().stream()
                .filter(field -> isVisible(field.getModifiers()))
                .flatMap(ArchitectureTest::typesOf);
        Stream<JavaClass> methods = type.getCodeUnits().stream()
                .filter(unit -> isVisible(unit.getModifiers()))
                .flatMap(ArchitectureTest::typesOf);
        return Stream.of(parents, fields, methods).flatMap(types -> types).map(JavaClass::getBaseComponentType);
    }

    private static boolean isVisible(Set<JavaModifier> modifiers) {
        return (modifiers.contains(JavaModifier.PUBLIC) || modifiers.contains(JavaModifier.PROTECTED))
                && !modifiers.contains(JavaModifier.SYNTHETIC);
    }

    private static Stream<JavaClass> typesOf(JavaField field) {
        return field.getType().getAllInvolvedRawTypes().stream();
    }

    private static Stream<JavaClass> typesOf(JavaCodeUnit unit) {
        return Stream.of(
                        Stream.of(unit.getReturnType()),
                        unit.getParameterTypes().stream(),
                        unit.getExceptionTypes().stream())
                .flatMap(types -> types)
                .flatMap(type -> type.getAllInvolvedRawTypes().stream());
    }
}
