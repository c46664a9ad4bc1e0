package io.gptq4j.gptq;

import io.gptq4j.format.QuantizedLinear;
import io.gptq4j.tensor.Worker;
import java.io.IOException;
import org.jspecify.annotations.Nullable;

/**
 * Packs and writes one finished module on a thread of its own while the next ones are computed. A module waits until the
 * one before it is written, so that no more than two of them are in memory, and a failure is told at the next chance.
 */
final class BackgroundSink implements GptqQuantizer.Sink, AutoCloseable {
    private final GptqQuantizer.Sink sink;
    private final Worker worker = new Worker("write-behind");
    private Worker.@Nullable Pending<String> writing;

    BackgroundSink(GptqQuantizer.Sink sink) {
        this.sink = sink;
    }

    @Override
    public void accept(QuantizedLinear module) throws IOException {
        await();
        writing = worker.start(() -> {
            sink.accept(module);
            return module.name();
        });
    }

    /** Waits until everything is written. */
    void await() throws IOException {
        Worker.Pending<String> last = writing;
        writing = null;
        if (last != null) {
            last.await();
        }
    }

    /** Waits for the module that is being written: the files must not be closed under it. */
    @Override
    public void close() {
        worker.close();
        try {
            await();
        } catch (IOException | RuntimeException e) {
            // The run failed already, or else await() came before and told this.
        }
    }
}
