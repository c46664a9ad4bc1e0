package io.gptq4j.cli;

import io.gptq4j.hub.transfer.Patterns;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** Which files of a model repository are needed: many hold the same weights several times, in several formats. */
final class WeightFiles {
    private static final List<String> OTHER_FORMATS = List.of(
            "*.h5",
            "*.msgpack",
            "*.onnx",
            "*.onnx_data",
            "*.gguf",
            "*.ggml",
            "*.tflite",
            "*.ot",
            "*.mlmodel",
            "*.pth",
            "*.pt",
            "*.npz",
            "*.zip",
            "*.tar.gz",
            "original/*",
            "onnx/*",
            "openvino/*",
            "coreml/*");

    private WeightFiles() {}

    /** Everything but weights in formats that are not read, and with safetensors, those of pytorch_model.bin. */
    static Patterns once(List<String> files) {
        List<String> ignored = new ArrayList<>(OTHER_FORMATS);
        if (files.stream().anyMatch(file -> !file.contains("/") && file.endsWith(".safetensors"))) {
            ignored.add("*.bin");
            ignored.add("*.bin.index.json");
        }
        if (files.contains("model.safetensors") || files.contains("model.safetensors.index.json")) {
            ignored.add("consolidated*");
        }
        return new Patterns(Optional.empty(), ignored);
    }

    /** Everything but weights; their index is no weights. */
    static Patterns none(List<String> files) {
        List<String> ignored = new ArrayList<>(once(files).ignore());
        ignored.addAll(List.of("*.safetensors", "*.bin"));
        return new Patterns(Optional.empty(), ignored);
    }
}
