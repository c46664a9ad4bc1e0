package io.gptq4j.format;

import io.gptq4j.safetensors.DType;
import io.gptq4j.safetensors.TensorInfo;
import java.util.List;

/**
 * One quantized Linear as it lies in an artifact: codes and zero points packed into 32-bit words. Whether the words of
 * {@code qzeros} hold zero or zero - 1 is the business of the {@link CheckpointFormat}.
 *
 * <p>Jagged arrays, one per row of the tensor, so that no array has to hold a whole matrix. The arrays are not copied.
 *
 * @param name the module's path, without {@code .qweight}
 * @param bits code width: 2, 3, 4 or 8
 * @param groupSize inputs per group, or -1 for one group over all inputs
 * @param qweight [in * bits / 32][out], codes packed along the inputs
 * @param qzeros [groups][out * bits / 32], zero points packed along the outputs
 * @param scales [groups][out], IEEE binary16 bit patterns
 * @param gIdx [in], the group of every input
 */
@SuppressWarnings("ArrayRecordComponent") // compared by nobody, and copying a model costs
public record PackedLinear(
        String name, int bits, int groupSize, int[][] qweight, int[][] qzeros, short[][] scales, int[] gIdx) {
    /**
     * Checks the shapes against each other and every group index against the number of groups. Dimensions that are no
     * multiple of 32 are accepted as long as they fill whole words, because foreign artifacts have them.
     *
     * @throws IllegalArgumentException naming the module and what does not fit
     */
    public PackedLinear {
        QuantizedLinear.requireOptions(name, bits, groupSize);
        int in = gIdx.length;
        require(name, in > 0 && qweight.length > 0 && qweight[0].length > 0, "has no inputs or no outputs");
        int out = qweight[0].length;
        require(
                name,
                (long) in * bits == 32L * qweight.length,
                in + " inputs of " + bits + " bits do not fill the " + qweight.length + " rows of qweight");
        for (int[] row : qweight) {
            require(name, row.length == out, "qweight has rows of " + out + " and of " + row.length + " words");
        }
        int groups = QuantizedLinear.groups(in, groupSize);
        require(
                name,
                scales.length == groups && qzeros.length == groups,
                "expected " + groups + " groups, found " + scales.length + " of scales and " + qzeros.length
                        + " of qzeros");
        for (int g = 0; g < groups; g++) {
            require(
                    name,
                    scales[g].length == out,
                    "scales has " + scales[g].length + " columns for " + out + " outputs");
            require(
                    name,
                    32L * qzeros[g].length == (long) out * bits,
                    out + " outputs of " + bits + " bits do not fill the " + qzeros[g].length + " columns of qzeros");
        }
        QuantizedLinear.requireGroupsInRange(name, gIdx, groups);
    }

    /** Number of inputs (columns of the weight). */
    public int inFeatures() {
        return gIdx.length;
    }

    /** Number of outputs (rows of the weight). */
    public int outFeatures() {
        return qweight[0].length;
    }

    /** Number of quantization groups. */
    public int groups() {
        return scales.length;
    }

    /** The four tensors of this module. */
    public List<TensorInfo> tensors() {
        return tensors(name, bits, inFeatures(), outFeatures(), groups());
    }

    /** The four tensors of a module of this shape: qweight, qzeros, scales and g_idx. */
    static List<TensorInfo> tensors(String name, int bits, int in, int out, int groups) {
        return List.of(
                TensorInfo.of(name + ".qweight", DType.I32, (long) in * bits / 32, out),
                TensorInfo.of(name + ".qzeros", DType.I32, groups, (long) out * bits / 32),
                TensorInfo.of(name + ".scales", DType.F16, groups, out),
                TensorInfo.of(name + ".g_idx", DType.I32, in));
    }

    /** Bytes of the four tensors of a module of this shape in an artifact; a bias is not among them. */
    public static long bytes(int bits, int groupSize, int in, int out) {
        return tensors("", bits, in, out, QuantizedLinear.groups(in, groupSize)).stream()
                .mapToLong(TensorInfo::byteLength)
                .sum();
    }

    /** The names of a module's four tensors. */
    static List<String> tensorNames(String module) {
        return List.of(module + ".qweight", module + ".qzeros", module + ".scales", module + ".g_idx");
    }

    private static void require(String name, boolean condition, String message) {
        QuantizedLinear.require(name, condition, message);
    }
}
