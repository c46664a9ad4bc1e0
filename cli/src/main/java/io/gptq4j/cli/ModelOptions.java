package io.gptq4j.cli;

import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.checkpoint.ModelConfig;
import io.gptq4j.hub.HubClient;
import io.gptq4j.hub.repo.Repo;
import io.gptq4j.hub.repo.RepoId;
import io.gptq4j.hub.repo.RepoType;
import io.gptq4j.hub.repo.Revision;
import io.gptq4j.hub.transfer.Snapshot;
import io.gptq4j.hub.transfer.SnapshotRequest;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/** The model a command works on, and what it computes with. */
final class ModelOptions {
    @Parameters(
            paramLabel = "MODEL",
            description =
                    "Directory of a checkpoint in Hugging Face's layout; if there is none of that name, a repository"
                            + " on the Hub, ns/name.")
    private String model = "";

    @Option(
            names = "--revision",
            paramLabel = "REV",
            description = "Branch, tag or commit of the repository (default: main).")
    private @Nullable String revision;

    @Mixin
    private final CacheOptions cache = new CacheOptions();

    @Mixin
    private final HubOptions hub = new HubOptions();

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

    /** How to reach the Hub. */
    HubOptions hub() {
        return hub;
    }

    /**
     * Where the model is.
     *
     * @param directory its files
     * @param repo the repository that they are from, or null for a directory of the user's
     * @param commit the commit that they are from, or null if it is not known
     */
    record Located(
            Path directory, @Nullable RepoId repo, @Nullable String commit) {
        /** The name that an artifact of it is called by. */
        String name() throws IOException {
            return repo != null
                    ? repo.name()
                    : String.valueOf(directory.toRealPath().getFileName());
        }
    }

    /** Finds the directory, or brings the repository to this disk. */
    Located locate(Console console) throws IOException {
        Path directory = Path.of(model);
        if (Files.exists(directory)) {
            if (revision != null) {
                throw new IllegalArgumentException(
                        "--revision is for repositories on the Hub, but " + model + " is a directory here");
            }
            return new Located(directory, null, null);
        }
        RepoId id = repository()
                .orElseThrow(() -> new NoSuchFileException(directory.toString(), null, "no such directory"));
        Revision wanted = revision == null ? Revision.MAIN : new Revision(revision);
        console.note("There is no directory " + model + ", so it is taken for a repository on the Hub.");
        SnapshotRequest request =
                SnapshotRequest.of(new Repo(RepoType.MODEL, id)).at(wanted);
        try (HubClient client = HubClient.builder()
                .config(cache.apply(hub.settings(console)).build())
                .listener(new TransferProgress(console.progress(), "downloading"))
                .build()) {
            List<String> files = client.plan(request).files().stream()
                    .map(Snapshot.File::path)
                    .toList();
            Snapshot snapshot = client.snapshot(request.only(WeightFiles.once(files)));
            console.progress().finish();
            return new Located(snapshot.folder(), id, snapshot.commit());
        }
    }

    /** The repository that is meant; empty if there is a directory of that name, or it can be no repository's. */
    Optional<RepoId> repository() {
        if (Files.exists(Path.of(model))) {
            return Optional.empty();
        }
        try {
            return Optional.of(RepoId.parse(model));
        } catch (IllegalArgumentException noRepository) {
            return Optional.empty();
        }
    }

    /** The type to compute in, in torch's spelling. */
    String dtypeOn(boolean gpu, ModelConfig config) throws CheckpointException {
        return dtype(dtype, gpu, config);
    }

    /** What {@code --dtype} means for a model. */
    static String dtype(String dtype, boolean gpu, ModelConfig config) throws CheckpointException {
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
