package io.gptq4j.cli;

import io.gptq4j.checkpoint.Checkpoint;
import io.gptq4j.model.families.ModelFamilies;
import io.gptq4j.rotation.RotatedCheckpoint;
import java.io.IOException;
import picocli.CommandLine.Option;

/** Whether the model is rotated before it is quantized. */
final class RotationOptions {
    @Option(
            names = "--rotate",
            description =
                    "Mix the channels of the residual stream by a random Hadamard matrix first, so that none of them"
                            + " stands out. The float model stays the same function and the result an ordinary checkpoint,"
                            + " a tied head becoming a tensor of its own. For models with RMSNorm.")
    private boolean rotate;

    /**
     * What is quantized: the checkpoint, rotated if that was asked for.
     *
     * @throws IllegalArgumentException if its family cannot be rotated
     */
    Checkpoint applied(Console console, Checkpoint checkpoint, long seed) throws IOException {
        if (!rotate) {
            return checkpoint;
        }
        Checkpoint rotated = RotatedCheckpoint.of(checkpoint, seed);
        if (ModelFamilies.architecture(checkpoint).head().tied()) {
            console.note(
                    "The head of the rotated model is no longer its embedding: the result has a tensor of its own for it.");
        }
        return rotated;
    }
}
