package io.gptq4j.cli;

import io.gptq4j.checkpoint.Checkpoint;
import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.checkpoint.ModelConfig;
import io.gptq4j.hub.HubClient;
import io.gptq4j.hub.repo.Repo;
import io.gptq4j.hub.repo.RepoId;
import io.gptq4j.hub.repo.RepoType;
import io.gptq4j.hub.repo.Revision;
import io.gptq4j.hub.transfer.Snapshot;
import io.gptq4j.hub.transfer.SnapshotRequest;
import io.gptq4j.tensor.FloatType;
import io.gptq4j.tensor.Torch;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.stream.Collectors;
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
            description = "auto, cpu or cuda:N; auto takes the first GPU. quantize can share the work among several of"
                    + " them: cuda:0,cuda:1 (default: ${DEFAULT-VALUE}).")
    private String device = "auto";

    @Option(
            names = "--dtype",
            paramLabel = "TYPE",
            defaultValue = "auto",
            description = "Type to compute in: auto, float32, bfloat16 or float16; auto is float32 on the CPU and the"
                    + " checkpoint's own type on a GPU; quantize takes bfloat16 checkpoints as they are on a CPU, too, if it"
                    + " has instructions for it (default: ${DEFAULT-VALUE}).")
    private String dtype = "auto";

    @Option(
            names = "--family",
            paramLabel = "NAME",
            description =
                    "Take the model for one of this family, as 'families' lists them, whatever its model_type says.")
    private @Nullable String family;

    /** An opened checkpoint, taken for one of the family that the user has named, if any. */
    Checkpoint read(Checkpoint checkpoint) {
        return family == null ? checkpoint : checkpoint.with(checkpoint.config().readAs(family), checkpoint.tensors());
    }

    /** The name as the user gave it. */
    String model() {
        return model;
    }

    String device() {
        return device;
    }

    /** The devices that share a run. */
    List<String> devices() {
        return List.of(device.split(",", -1));
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
        return locate(console, model, revision);
    }

    /** Does the same for another model, of which a repository's branch main is meant. */
    Located locate(Console console, String other) throws IOException {
        return locate(console, other, null);
    }

    private Located locate(Console console, String model, @Nullable String revision) throws IOException {
        Path directory = Path.of(model);
        if (Files.exists(directory)) {
            if (revision != null) {
                throw new IllegalArgumentException(
                        "--revision is for repositories on the Hub, but " + model + " is a directory here");
            }
            return new Located(directory, null, null);
        }
        RepoId id = requireRepository(model);
        console.note("There is no directory " + model + ", so it is taken for a repository on the Hub.");
        SnapshotRequest request = request(id, revision);
        try (HubClient client = client(console)) {
            Snapshot snapshot = client.snapshot(request.only(WeightFiles.once(names(client.plan(request)))));
            console.progress().finish();
            return new Located(snapshot.folder(), id, snapshot.commit());
        }
    }

    /**
     * A repository whose weights stay on the Hub.
     *
     * @param directory its other files
     * @param repo the repository
     * @param commit the commit that all of it is from
     * @param files the names of all files at its root, weights or not
     */
    record Remote(Path directory, RepoId repo, String commit, Set<String> files) {}

    /** Brings all files of the repository but the weights to this disk. */
    Remote locateRemote(Console console, HubClient client) throws IOException {
        if (Files.exists(Path.of(model))) {
            throw new IllegalArgumentException(
                    "--stream is for repositories on the Hub, but " + model + " is a directory here; leave it out");
        }
        RepoId id = requireRepository(model);
        SnapshotRequest request = request(id, revision);
        String commit = client.info(request.repo(), request.revision()).sha();
        if (commit == null) {
            throw new CheckpointException(model + " has no commit at revision '" + request.revision() + "'");
        }
        SnapshotRequest pinned = request.at(new Revision(commit));
        List<String> names = names(client.plan(pinned));
        Set<String> root = names.stream().filter(name -> !name.contains("/")).collect(Collectors.toSet());
        if (root.stream().noneMatch(name -> name.endsWith(".safetensors"))) {
            throw new CheckpointException(model + " has no weights in safetensors, the only format that can be read in"
                    + " parts; leave --stream out");
        }
        Snapshot snapshot = client.snapshot(pinned.only(WeightFiles.none(names)));
        console.progress().finish();
        return new Remote(snapshot.folder(), id, commit, root);
    }

    /** A client that shows downloads, and puts them into the cache that is meant. */
    HubClient client(Console console) throws IOException {
        return HubClient.builder()
                .config(cache.apply(hub.settings(console)).build())
                .listener(new TransferProgress(console.progress(), "downloading"))
                .build();
    }

    private static SnapshotRequest request(RepoId id, @Nullable String revision) {
        return SnapshotRequest.of(new Repo(RepoType.MODEL, id))
                .at(revision == null ? Revision.MAIN : new Revision(revision));
    }

    private static List<String> names(Snapshot plan) {
        return plan.files().stream().map(Snapshot.File::path).toList();
    }

    private static RepoId requireRepository(String model) throws NoSuchFileException {
        return repository(model).orElseThrow(() -> new NoSuchFileException(model, null, "no such directory"));
    }

    /** The repository that is meant; empty if there is a directory of that name, or it can be no repository's. */
    Optional<RepoId> repository() {
        return repository(model);
    }

    private static Optional<RepoId> repository(String model) {
        if (Files.exists(Path.of(model))) {
            return Optional.empty();
        }
        try {
            return Optional.of(RepoId.parse(model));
        } catch (IllegalArgumentException noRepository) {
            return Optional.empty();
        }
    }

    /** The type to evaluate in. */
    FloatType dtypeOn(Torch torch, ModelConfig config) throws CheckpointException {
        return type(dtype.equalsIgnoreCase("auto") && !torch.isGpu() ? "float32" : dtype, torch, config);
    }

    /** The type to quantize in. */
    FloatType quantizingDtypeOn(Torch torch, ModelConfig config) throws CheckpointException {
        return type(dtype, torch, config);
    }

    /**
     * What {@code --dtype} means for a model. A CPU computes in bfloat16 only what is bfloat16 already: the weights of other
     * checkpoints would lose digits before they are quantized.
     */
    static FloatType type(String dtype, Torch torch, ModelConfig config) throws CheckpointException {
        String chosen = dtype.toLowerCase(Locale.ROOT);
        if (chosen.equals("auto")) {
            chosen = config.stringValue("torch_dtype", config.stringValue("dtype", "float32"));
            if (!torch.isGpu() && !(chosen.equals("bfloat16") && torch.hasFastBfloat16())) {
                chosen = "float32";
            }
        }
        return switch (chosen) {
            case "float32", "bfloat16", "float16" -> FloatType.valueOf(chosen.toUpperCase(Locale.ROOT));
            default ->
                throw new IllegalArgumentException(
                        "--dtype must be auto, float32, bfloat16 or float16, not '" + chosen + "'");
        };
    }
}
