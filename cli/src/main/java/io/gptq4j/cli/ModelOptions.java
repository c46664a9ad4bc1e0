package io.gptq4j.cli;

import io.gptq4j.checkpoint.Checkpoint;
import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.checkpoint.ModelConfig;
import io.gptq4j.hub.repo.RepoId;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Locale;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** The model a command works on, and what it computes with. */
final class ModelOptions {
    @Parameters(paramLabel = "MODEL", description = "Directory of a checkpoint in Hugging Face's layout.")
    private String model = "";

    @Option(
            names = "--device",
            paramLabel = "DEVICE",
            defaultValue = "auto",
            description = "auto, cpu or cuda:N; auto takes the first GPU (default: ${DEFAULT-VALUE}).")
    private String device = "auto";

    @Option(
            names = "--dtype",
            paramLabel = "TYPE",
            defaultValue = "auto",
            description = "Type to compute in: auto, float32, bfloat16 or float16; auto is float32 on the CPU and the"
                    + " checkpoint's own type on a GPU (default: ${DEFAULT-VALUE}).")
    private String dtype = "auto";

    /** The name as the user gave it. */
    String model() {
        return model;
    }

    String device() {
        return device;
    }

    /** Opens the checkpoint. */
    Checkpoint open() throws IOException {
        Path directory = Path.of(model);
        requireExisting(directory);
        return Checkpoint.open(directory);
    }

    /** Refuses a directory that is not there, and says so where the name may be a repository's on the Hub. */
    static void requireExisting(Path directory) throws NoSuchFileException {
        if (!Files.exists(directory)) {
            throw new NoSuchFileException(directory.toString(), null, "no such directory" + hint(directory.toString()));
        }
    }

    private static String hint(String model) {
        try {
            RepoId id = RepoId.parse(model);
            return "; if you mean the repository " + id + " on the Hub, download it first and name its directory";
        } catch (IllegalArgumentException notARepository) {
            return "";
        }
    }

    /** The type to compute in, in torch's spelling. */
    String dtypeOn(boolean gpu, ModelConfig config) throws CheckpointException {
        String chosen = dtype.toLowerCase(Locale.ROOT);
        if (chosen.equals("auto")) {
            chosen = gpu ? config.stringValue("torch_dtype", config.stringValue("dtype", "float32")) : "float32";
        }
        return switch (chosen) {
            case "float32", "bfloat16", "float16" -> chosen;
            default ->
                throw new IllegalArgumentException(
                        "--dtype must be auto, float32, bfloat16 or float16, not '" + chosen + "'");
        };
    }
}
