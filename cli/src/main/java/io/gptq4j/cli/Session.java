package io.gptq4j.cli;

import io.gptq4j.checkpoint.Checkpoint;
import io.gptq4j.model.Architecture;
import io.gptq4j.model.LanguageModel;
import io.gptq4j.model.families.ModelFamilies;
import io.gptq4j.tensor.FloatType;
import io.gptq4j.tensor.Torch;
import java.io.IOException;
import java.util.Locale;

/**
 * A checkpoint opened for computing: everything that can be refused is checked before the tensor library starts.
 *
 * @param checkpoint the files
 * @param torch the device
 * @param model the model on it
 */
record Session(Checkpoint checkpoint, Torch torch, LanguageModel model) implements AutoCloseable {
    /** Opens the model a command was given. */
    static Session open(ModelOptions options, Checkpoint checkpoint) throws IOException {
        Architecture architecture = ModelFamilies.architecture(checkpoint.config());
        Torch torch = Torch.open(options.device());
        try {
            FloatType type = FloatType.valueOf(
                    options.dtypeOn(torch.isGpu(), checkpoint.config()).toUpperCase(Locale.ROOT));
            return new Session(checkpoint, torch, LanguageModel.open(torch, checkpoint, architecture, type));
        } catch (IOException | RuntimeException e) {
            torch.close();
            throw e;
        }
    }

    @Override
    public void close() {
        model.close();
        torch.close();
    }
}
