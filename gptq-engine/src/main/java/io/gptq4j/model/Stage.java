package io.gptq4j.model;

/**
 * The stages of a block, in order. Each computes, from the one before, the input that one group of modules reads; the
 * block's output follows from the last.
 */
public enum Stage {
    /** The input of q, k and v. */
    ATTENTION_IN,
    /** The input of the attention's output projection. */
    ATTENTION_OUT,
    /** The input of gate and up, or of the first feed-forward module. */
    MLP_IN,
    /** The input of down, or of the second feed-forward module. */
    MLP_OUT
}
