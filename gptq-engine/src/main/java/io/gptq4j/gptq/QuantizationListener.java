package io.gptq4j.gptq;

/** Hears how a run gets on. Called on the thread that quantizes; must be quick and must not throw. */
public interface QuantizationListener {
    /** Hears nothing. */
    QuantizationListener SILENT = new QuantizationListener() {};

    /** Work on a block begins; blocks count from 0. */
    default void blockStarted(int block, int blocks) {}

    /** A module is solved and has been handed to the sink. */
    default void moduleQuantized(ModuleReport report) {}

    /** A block is finished, its outputs are the next one's inputs. */
    default void blockFinished(int block, int blocks) {}
}
