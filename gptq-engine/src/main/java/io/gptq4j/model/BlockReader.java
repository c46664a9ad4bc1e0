package io.gptq4j.model;

import io.gptq4j.tensor.Scope;
import io.gptq4j.tensor.Worker;
import java.io.IOException;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Reads the blocks of a model in their order, the next one on a thread of its own while the one before is computed, so
 * that a disk or a network is waited for only where it is the slower of the two. Holds the bytes of one block ahead.
 * Belongs to one thread.
 */
public final class BlockReader implements AutoCloseable {
    private final Architecture architecture;
    private final ModelWeights weights;
    private final Scope scope;
    private final Worker worker = new Worker("read-ahead");
    private Worker.@Nullable Pending<Block> ahead;
    private int next;

    BlockReader(Architecture architecture, ModelWeights weights, Scope scope) {
        this.architecture = architecture;
        this.weights = weights;
        this.scope = scope;
        readAhead();
    }

    /** The tensors of one block in host memory, by canonical name; to be closed. */
    public static final class Block implements AutoCloseable {
        private final int layer;
        private final Map<String, ModelWeights.Stored> tensors = new LinkedHashMap<>();

        private Block(int layer) {
            this.layer = layer;
        }

        /** Which block it is, from 0. */
        public int layer() {
            return layer;
        }

        Map<String, ModelWeights.Stored> tensors() {
            return Collections.unmodifiableMap(tensors);
        }

        @Override
        public void close() {
            tensors.values().forEach(ModelWeights.Stored::close);
        }
    }

    /**
     * The next block. What comes after it is not read before {@link #readAhead}.
     *
     * @throws IOException if it cannot be read
     */
    public Block take() throws IOException {
        Worker.Pending<Block> reading = ahead;
        if (reading == null) {
            throw new IllegalStateException("Block " + next + " is not being read");
        }
        Block block = reading.await();
        ahead = null;
        return block;
    }

    /** Starts to read the block after the one taken last, if there is one. */
    public void readAhead() {
        if (next < architecture.layers()) {
            int layer = next++;
            ahead = worker.start(() -> read(layer));
        }
    }

    private Block read(int layer) throws IOException {
        Block block = new Block(layer);
        boolean complete = false;
        try {
            for (String name : architecture.blockTensors(layer).keySet()) {
                if (worker.isClosing()) {
                    throw new IOException("The run ended while block " + layer + " was read");
                }
                block.tensors.put(name, weights.read(scope, name));
            }
            complete = true;
            return block;
        } finally {
            if (!complete) {
                block.close();
            }
        }
    }

    /** Lets go of what was read ahead; waits for the tensor that is being read. */
    @Override
    public void close() {
        worker.close();
        Worker.Pending<Block> reading = ahead;
        if (reading != null) {
            try {
                reading.await().close();
            } catch (IOException | RuntimeException e) {
                // The run is over, for a reason of its own; nobody waits for this block.
            }
        }
    }
}
