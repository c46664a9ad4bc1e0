package io.gptq4j.gptq;

import io.gptq4j.model.LanguageModel;
import io.gptq4j.tensor.TensorStore;
import io.gptq4j.tensor.Worker;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CancellationException;

/**
 * The lanes of a run. The first one belongs to the calling thread, each other one to a thread of its own, since a session
 * with libtorch belongs to one thread.
 */
final class Lanes implements AutoCloseable {
    private final List<Lane> lanes = new ArrayList<>();
    private final List<Worker> workers = new ArrayList<>(); // of all lanes but the first

    /**
     * Deals the batches out in turn, one lane per model; the host's memory is shared, a device's is its own.
     *
     * @param exact whether the windows go through the float model, too
     */
    Lanes(List<LanguageModel> models, List<int[][]> batches, TensorStore.Budget budget, boolean exact) {
        int count = models.size();
        TensorStore.Budget each =
                new TensorStore.Budget(budget.deviceBytes(), budget.hostBytes() / count, budget.scratch());
        for (int i = 0; i < count; i++) {
            List<int[][]> share = new ArrayList<>();
            for (int b = i; b < batches.size(); b += count) {
                share.add(batches.get(b));
            }
            lanes.add(new Lane(models.get(i), share, each, exact));
            if (i > 0) {
                workers.add(new Worker("device " + i));
            }
        }
    }

    /** What a lane does. */
    interface Task<R> {
        R run(Lane lane, int index) throws IOException;
    }

    Lane first() {
        return lanes.get(0);
    }

    Lane lane(int index) {
        return lanes.get(index);
    }

    int size() {
        return lanes.size();
    }

    /** What a lane does without a result. */
    interface Action {
        void run(Lane lane) throws IOException;
    }

    /** As {@link #each}. */
    void forEach(Action action) throws IOException {
        each((lane, index) -> {
            action.run(lane);
            return index;
        });
    }

    /**
     * Lets all lanes do the same at once, and waits for all of them, even if one fails.
     *
     * @return the results in the order of the lanes
     */
    <R> List<R> each(Task<R> task) throws IOException {
        List<Worker.Pending<R>> others = new ArrayList<>();
        for (int i = 1; i < lanes.size(); i++) {
            int index = i;
            others.add(workers.get(i - 1).start(() -> task.run(lanes.get(index), index)));
        }
        List<R> results = new ArrayList<>();
        Exception failure = null;
        try {
            results.add(task.run(lanes.get(0), 0));
        } catch (CancellationException e) {
            workers.forEach(Worker::close); // which waits: nobody may free the tensors of who still computes
            throw e;
        } catch (IOException | RuntimeException e) {
            failure = e;
        }
        for (Worker.Pending<R> other : others) {
            try {
                results.add(other.await());
            } catch (IOException | RuntimeException e) {
                failure = failure == null ? e : failure;
            }
        }
        if (failure instanceof IOException e) {
            throw e;
        } else if (failure instanceof RuntimeException e) {
            throw e;
        }
        return results;
    }

    @Override
    public void close() throws IOException {
        workers.forEach(Worker::close);
        IOException failure = null;
        for (Lane lane : lanes) {
            try {
                lane.close();
            } catch (IOException e) {
                failure = e;
            }
        }
        if (failure != null) {
            throw failure;
        }
    }
}
