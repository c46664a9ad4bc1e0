package io.gptq4j.format;

import io.gptq4j.checkpoint.CheckpointException;
import io.gptq4j.safetensors.TensorSource;
import java.io.IOException;
import java.util.Arrays;

/** Compares a module as it was computed with what a reader makes of the written bytes. */
final class ReadBack {
    private ReadBack() {}

    /**
     * Reads a module and compares every code, scale, zero point and group index.
     *
     * @param tensors the written files
     * @throws VerificationException naming the module and its file, if one differs or makes no sense
     */
    static void require(QuantizedLinear computed, TensorSource tensors, QuantizeConfig config) throws IOException {
        boolean same;
        try {
            QuantizedLinear found = ArtifactReader.read(tensors, config, computed.name());
            same = Arrays.deepEquals(found.codes(), computed.codes())
                    && Arrays.deepEquals(found.scales(), computed.scales())
                    && Arrays.deepEquals(found.zeros(), computed.zeros())
                    && Arrays.equals(found.gIdx(), computed.gIdx());
        } catch (CheckpointException e) { // such as a group index that is out of range
            same = false;
        }
        if (!same) {
            throw new VerificationException(
                    "Module " + computed.name() + " in " + tensors.location(computed.name() + ".qweight")
                            + " does not read back as it was computed; the disk or the memory is faulty");
        }
    }
}
