package io.gptq4j.gptq;

import io.gptq4j.checkpoint.Checkpoint;
import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.format.ArtifactReader;
import io.gptq4j.format.QuantizedLinear;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;
import java.util.zip.CRC32;

/**
 * Remembers a checksum of every module as it was solved, and compares it with what the written files give back. Not
 * thread-safe.
 */
public final class ArtifactCheck {
    private final Map<String, Long> solved = new HashMap<>();

    /** Remembers a module. */
    public void remember(QuantizedLinear module) {
        solved.put(module.name(), checksum(module));
    }

    /**
     * Reads an artifact back.
     *
     * @return a sentence about the first module that differs, or nothing if all are the same
     * @throws CheckpointException if the artifact cannot be opened
     */
    public Optional<String> differenceIn(Path artifact) throws IOException {
        try (Checkpoint checkpoint = Checkpoint.open(artifact)) {
            ArtifactReader reader = ArtifactReader.of(checkpoint);
            for (Map.Entry<String, Long> module : solved.entrySet()) {
                if (!reader.modules().contains(module.getKey())) {
                    return Optional.of("Module " + module.getKey() + " is missing from " + artifact);
                }
                if (checksum(reader.read(module.getKey())) != module.getValue()) {
                    return Optional.of("Module " + module.getKey() + " in " + artifact
                            + " does not read back as it was computed; the disk or the memory is faulty");
                }
            }
        }
        return Optional.empty();
    }

    private static long checksum(QuantizedLinear module) {
        CRC32 crc = new CRC32();
        for (byte[] row : module.codes()) {
            crc.update(row);
        }
        for (byte[] row : module.zeros()) {
            crc.update(row);
        }
        for (short[] row : module.scales()) {
            ByteBuffer bytes = ByteBuffer.allocate(row.length * Short.BYTES).order(ByteOrder.LITTLE_ENDIAN);
            bytes.asShortBuffer().put(row);
            crc.update(bytes);
        }
        ByteBuffer bytes =
                ByteBuffer.allocate(module.gIdx().length * Integer.BYTES).order(ByteOrder.LITTLE_ENDIAN);
        bytes.asIntBuffer().put(module.gIdx());
        crc.update(bytes);
        return crc.getValue();
    }
}
