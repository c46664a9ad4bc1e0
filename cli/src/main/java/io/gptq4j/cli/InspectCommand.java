package io.gptq4j.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;

/** {@code gptq4j inspect}: what a checkpoint is, without loading any tensor library. */
@Command(
        name = "inspect",
        description = "Says what a checkpoint is: family, tensors, quantization, and what would keep a server from"
                + " loading it.")
final class InspectCommand implements Callable<Integer> {
    private final Console console;

    @Parameters(paramLabel = "DIR", description = "Directory of a checkpoint, float or quantized.")
    private Path directory = Path.of("");

    InspectCommand(Console console) {
        this.console = console;
    }

    @Override
    public Integer call() throws IOException {
        if (!Files.exists(directory)) {
            throw new NoSuchFileException(directory.toString(), null, "no such directory");
        }
        Inspection inspection = Inspection.of(directory);
        console.result(inspection, () -> text(inspection));
        return ExitCode.OK.number();
    }

    private static String text(Inspection inspection) {
        StringBuilder text = new StringBuilder();
        line(text, "model_type", inspection.modelType());
        line(text, "supported", inspection.supported() ? "yes" : "no");
        line(text, "parameters", String.format(Locale.ROOT, "%,d", inspection.parameters()));
        line(
                text,
                "tensors",
                inspection.tensors() + " in " + inspection.files() + " file(s), " + Sizes.format(inspection.bytes()));
        for (Map.Entry<String, Long> dtype : inspection.bytesByDtype().entrySet()) {
            line(text, "  " + dtype.getKey(), Sizes.format(dtype.getValue()));
        }
        Inspection.Quantization quantization = inspection.quantization();
        if (quantization != null) {
            line(
                    text,
                    "quantized",
                    quantization.modules() + " modules, " + quantization.bits() + " bits, group_size "
                            + quantization.groupSize() + (quantization.sym() ? ", sym" : ", asym") + ", desc_act "
                            + quantization.descAct());
            if (quantization.kinds().size() > 1) {
                for (Inspection.Kind kind : quantization.kinds()) {
                    line(
                            text,
                            "  " + kind.modules(),
                            kind.bits() + " bits, group_size " + kind.groupSize() + (kind.sym() ? ", sym" : ", asym"));
                }
            }
            quantization.dynamic().forEach(rule -> line(text, "dynamic", Console.printable(rule)));
            line(text, "format", quantization.checkpointFormat());
            line(text, "g_idx", quantization.gIdx());
        }
        for (String problem : inspection.problems()) {
            line(text, "problem", problem);
        }
        return text.toString().stripTrailing();
    }

    private static void line(StringBuilder text, String key, String value) {
        text.append(String.format(Locale.ROOT, "%-14s%s%n", key, value));
    }
}
