package io.gptq4j.it.hub;

import java.nio.charset.StandardCharsets;
import java.util.List;

/** What a new repository begins with. */
final class Seeds {
    /** The Hub's standard list; with it, the file has the git id that real repositories show. */
    private static final List<String> LFS_PATTERNS = List.of(
            "*.7z",
            "*.arrow",
            "*.bin",
            "*.bz2",
            "*.ckpt",
            "*.ftz",
            "*.gz",
            "*.h5",
            "*.joblib",
            "*.lfs.*",
            "*.mlmodel",
            "*.model",
            "*.msgpack",
            "*.npy",
            "*.npz",
            "*.onnx",
            "*.ot",
            "*.parquet",
            "*.pb",
            "*.pickle",
            "*.pkl",
            "*.pt",
            "*.pth",
            "*.rar",
            "*.safetensors",
            "saved_model/**/*",
            "*.tar.*",
            "*.tar",
            "*.tflite",
            "*.tgz",
            "*.wasm",
            "*.xz",
            "*.zip",
            "*.zst",
            "*tfevents*");

    private Seeds() {}

    static byte[] gitAttributes() {
        StringBuilder text = new StringBuilder();
        LFS_PATTERNS.forEach(pattern -> text.append(pattern).append(" filter=lfs diff=lfs merge=lfs -text\n"));
        return text.toString().getBytes(StandardCharsets.UTF_8);
    }
}
