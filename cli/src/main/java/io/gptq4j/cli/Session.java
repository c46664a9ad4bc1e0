package io.gptq4j.cli;

import io.gptq4j.checkpoint.Checkpoint;
import io.gptq4j.model.Architecture;
import io.gptq4j.model.LanguageModel;
import io.gptq4j.model.ModelFamily;
import io.gptq4j.model.families.ModelFamilies;
import io.gptq4j.tensor.FloatType;
import io.gptq4j.tensor.Torch;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;

/**
 * A checkpoint opened for computing: everything that can be refused is checked before the tensor library starts.
 *
 * @param checkpoint the files
 * @param torch the device
 * @param model the model on it
 */
record Session(Checkpoint checkpoint, Torch torch, LanguageModel model) implements AutoCloseable {
    /** Opens the model a command was given. */
    static Session open(Console console, ModelOptions options, Checkpoint checkpoint) throws IOException {
        ModelFamily.Reading reading = ModelFamilies.reading(checkpoint);
        reading.warnings().forEach(console::warn);
        Torch torch = Torch.open(options.device());
        try {
            FloatType type = options.dtypeOn(torch, checkpoint.config());
            return new Session(checkpoint, torch, LanguageModel.open(torch, checkpoint, reading.architecture(), type));
        } catch (IOException | RuntimeException e) {
            torch.close();
            throw e;
        }
    }

    /** Another model in this session, in the same type; the caller closes it. */
    LanguageModel open(Checkpoint other) throws IOException {
        return LanguageModel.open(torch, other, ModelFamilies.architecture(other), model.type());
    }

    /** Opens a checkpoint on each device that shares a run; the first one decides the type. */
    static List<Session> forRun(ModelOptions options, Checkpoint checkpoint) throws IOException {
        Architecture architecture = ModelFamilies.architecture(checkpoint);
        List<Session> sessions = new ArrayList<>();
        try {
            for (String device : options.devices()) {
                Torch torch = Torch.open(device);
                FloatType type = sessions.isEmpty()
                        ? options.quantizingDtypeOn(torch, checkpoint.config())
                        : sessions.get(0).model.type();
                sessions.add(new Session(checkpoint, torch, LanguageModel.open(torch, checkpoint, architecture, type)));
            }
            return sessions;
        } catch (IOException | RuntimeException e) {
            sessions.forEach(Session::close);
            throw e;
        }
    }

    @Override
    public void close() {
        model.close();
        torch.close();
    }
}
