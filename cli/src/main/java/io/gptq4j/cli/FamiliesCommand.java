package io.gptq4j.cli;

import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.checkpoint.ModelConfig;
import io.gptq4j.model.Architecture;
import io.gptq4j.model.Block;
import io.gptq4j.model.ModelFamily;
import io.gptq4j.model.ModelFamily.Server;
import io.gptq4j.model.ModuleGroup;
import io.gptq4j.model.families.FamilyExamples;
import io.gptq4j.model.families.ModelFamilies;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;

/** {@code gptq4j families}: which models can be quantized. */
@Command(
        name = "families",
        description = "Lists the model families that can be quantized: values of model_type, variants, modules that are"
                + " quantized, and the servers that have a class for them which loads GPTQ weights.")
final class FamiliesCommand implements Callable<Integer> {
    private final Console console;

    @Parameters(paramLabel = "NAME", arity = "0..1", description = "One family, or one value of model_type.")
    private String name = "";

    FamiliesCommand(Console console) {
        this.console = console;
    }

    /**
     * What is told of a family.
     *
     * @param family its name
     * @param modelTypes values of model_type
     * @param variants in words
     * @param modules those that are quantized, by the input they share, in solve order; * stands for an expert's number
     * @param keptInFloat linear modules that stay as they are
     * @param servers by their names
     */
    record Row(
            String family,
            List<String> modelTypes,
            String variants,
            List<List<String>> modules,
            List<String> keptInFloat,
            List<String> servers) {}

    @Override
    public Integer call() throws CheckpointException {
        List<Row> rows = rows().stream()
                .filter(row -> name.isEmpty() || row.family.equals(name) || row.modelTypes.contains(name))
                .toList();
        if (rows.isEmpty()) {
            throw new IllegalArgumentException("There is no family '" + name + "'; there are "
                    + ModelFamilies.ALL.stream().map(ModelFamily::name).collect(Collectors.joining(", ")));
        }
        console.result(rows, () -> name.isEmpty() ? table(rows) : details(rows));
        return ExitCode.OK.number();
    }

    /** All families in the order of their register. */
    static List<Row> rows() throws CheckpointException {
        Map<String, ModelConfig> examples = FamilyExamples.all();
        List<Row> rows = new ArrayList<>();
        for (ModelFamily family : ModelFamilies.ALL) {
            ModelConfig example = examples.get(family.name());
            if (example == null) {
                throw new IllegalStateException("There is no example of " + family.name());
            }
            Architecture architecture = ModelFamilies.architecture(example);
            Set<List<String>> modules = new LinkedHashSet<>();
            Set<String> kept = new LinkedHashSet<>();
            for (Block block : architecture.kinds().keySet()) {
                for (ModuleGroup group : block.moduleGroups()) {
                    modules.add(group.modules().stream()
                            .map(module -> anyExpert(module.name()))
                            .toList());
                }
                block.floatModules().forEach(module -> kept.add(module.name()));
            }
            rows.add(new Row(
                    family.name(),
                    family.modelTypes(),
                    family.variants(),
                    List.copyOf(modules),
                    List.copyOf(kept),
                    family.servers().stream().sorted().map(Server::title).toList()));
        }
        return rows;
    }

    private static String anyExpert(String name) {
        return name.replaceFirst("\\.\\d+\\.", ".*.");
    }

    private static String table(List<Row> rows) {
        Table table = new Table("family", "servers", "variants");
        for (Row row : rows) {
            table.row(row.family, String.join(", ", row.servers), row.variants);
        }
        return table.toString();
    }

    private static String details(List<Row> rows) {
        StringBuilder text = new StringBuilder();
        for (Row row : rows) {
            line(text, "family", row.family);
            line(text, "model_type", String.join(", ", row.modelTypes));
            line(text, "variants", row.variants);
            line(text, "modules", modules(row));
            line(text, "in float", row.keptInFloat.isEmpty() ? "none" : String.join(", ", row.keptInFloat));
            line(text, "servers", String.join(", ", row.servers));
        }
        return text.toString().stripTrailing();
    }

    /** Modules that share an input with commas between, the others with bars. */
    static String modules(Row row) {
        return row.modules.stream().map(group -> String.join(", ", group)).collect(Collectors.joining(" | "));
    }

    private static void line(StringBuilder text, String key, String value) {
        text.append(String.format("%-11s%s%n", key, value));
    }
}
