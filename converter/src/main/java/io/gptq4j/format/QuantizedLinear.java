package io.gptq4j.format;

/**
 * One quantized Linear as the solver leaves it: integers, not yet packed. With {@code in} inputs, {@code out} outputs
 * and {@code groups} quantization groups the weight is
 * {@code W[o][i] = scale[gIdx[i]][o] * (codes[o][i] - zeros[gIdx[i]][o])}.
 *
 * <p>Jagged arrays, one per row, so that no array has to hold a whole matrix. The arrays are not copied: whoever builds
 * the record gives them away.
 *
 * @param name the module's path, without {@code .weight}: {@code model.layers.0.mlp.down_proj}
 * @param bits code width: 2, 3, 4 or 8
 * @param groupSize inputs per group, or -1 for one group over all inputs
 * @param codes [out][in], unsigned values 0 .. 2^bits - 1 in bytes, original column order
 * @param scales [groups][out], IEEE binary16 bit patterns
 * @param zeros [groups][out], true zero points, unsigned values 0 .. 2^bits - 1 in bytes
 * @param gIdx [in], the group of every input
 */
@SuppressWarnings("ArrayRecordComponent") // compared by nobody, and copying a model costs
public record QuantizedLinear(
        String name, int bits, int groupSize, byte[][] codes, short[][] scales, byte[][] zeros, int[] gIdx) {
    /**
     * Checks the shapes against each other.
     *
     * @throws IllegalArgumentException naming the module and what does not fit
     */
    public QuantizedLinear {
        requireOptions(name, bits, groupSize);
        require(name, codes.length > 0 && codes[0].length == gIdx.length, "codes and g_idx disagree about the inputs");
        int groups = groups(gIdx.length, groupSize);
        require(
                name,
                scales.length == groups && zeros.length == groups,
                "expected " + groups + " groups, found " + scales.length + " of scales and " + zeros.length
                        + " of zeros");
        for (int g = 0; g < groups; g++) {
            require(
                    name,
                    scales[g].length == codes.length && zeros[g].length == codes.length,
                    "scales, zeros and codes disagree about the outputs");
        }
    }

    /** Number of inputs (columns of the weight). */
    public int inFeatures() {
        return gIdx.length;
    }

    /** Number of outputs (rows of the weight). */
    public int outFeatures() {
        return codes.length;
    }

    /** Number of quantization groups. */
    public int groups() {
        return scales.length;
    }

    /** Number of groups over this many inputs; the last one may be short. */
    static int groups(int inFeatures, int groupSize) {
        return groupSize == -1 ? 1 : (inFeatures - 1) / groupSize + 1;
    }

    static void requireOptions(String name, int bits, int groupSize) {
        require(name, bits == 2 || bits == 3 || bits == 4 || bits == 8, "bits must be 2, 3, 4 or 8, not " + bits);
        require(name, groupSize == -1 || groupSize > 0, "group_size must be -1 or positive, not " + groupSize);
    }

    static void require(String name, boolean condition, String message) {
        if (!condition) {
            throw misfit(name, message);
        }
    }

    static IllegalArgumentException misfit(String name, String message) {
        return new IllegalArgumentException("Module " + name + ": " + message);
    }

    /**
     * Checks every group index.
     *
     * @throws IllegalArgumentException naming the module, the input and its group
     */
    static void requireGroupsInRange(String name, int[] gIdx, int groups) {
        for (int i = 0; i < gIdx.length; i++) {
            if (gIdx[i] < 0 || gIdx[i] >= groups) {
                throw misfit(name, "g_idx[" + i + "] is " + gIdx[i] + ", expected 0 to " + (groups - 1));
            }
        }
    }
}
