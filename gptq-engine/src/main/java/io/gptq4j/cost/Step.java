package io.gptq4j.cost;

import java.util.Locale;

/** The kinds of work in a quantization, in the order in which they first occur. */
public enum Step {
    /** The checkpoint's bytes come from the disk. */
    READ(false),
    /** Solves at all widths and the forwards that tell what they do, where widths are to be chosen. */
    SENSITIVITY(false),
    /** Text that the model makes up, to be calibrated on. */
    SELF_CALIBRATION(false),
    /** Matrix products of the forward pass, each module once per token. */
    LINEAR(true),
    /** Causal attention. */
    ATTENTION(true),
    /** What the forward does element by element: norms, activations, residuals, and the conversion of weights. */
    ELEMENTWISE(false),
    /** The sums x x^T, one per module group. */
    HESSIAN(true),
    /** The calibration text through the float model, and what the modules' outputs lack of it. */
    DRIFT(false),
    /** From each Hessian to the factor of its inverse. */
    FACTOR(true),
    /** The solve's matrix products: errors that go to later columns. */
    SOLVE_PRODUCTS(true),
    /** The solve's column loop, and stacking and reordering. */
    SOLVE_COLUMNS(false),
    /** The search for grids, the way to the float model's outputs, and the sweeps after the solve. */
    REFINE(false),
    /** Codes to packed words, and back to weights for the rest of the block. */
    PACK(false),
    /** The artifact's bytes go to the disk. */
    WRITE(false),
    /** The held-out text through the original and the quantized model. */
    EVALUATION(true);

    private final boolean floor;

    Step(boolean floor) {
        this.floor = floor;
    }

    /** Whether its floating-point operations belong to the floor: no program that does GPTQ can be without them. */
    public boolean inFloor() {
        return floor;
    }

    /** The name in words, such as {@code solve products}. */
    @Override
    public String toString() {
        return name().toLowerCase(Locale.ROOT).replace('_', ' ');
    }
}
