package io.gptq4j.model;

/**
 * The stages of a block, in order. Each computes, from the one before, the inputs that some groups of modules read; the
 * block's output follows from the last.
 */
public enum Stage {
    /** The input of q, k and v. */
    ATTENTION_IN,
    /** The latent vectors from which queries, keys and values are made, where there are any. */
    ATTENTION_MID,
    /** The input of the attention's output projection. */
    ATTENTION_OUT,
    /** The input of gate and up, or of the first feed-forward module; of each expert, where there are any. */
    MLP_IN,
    /** The input of down, or of the second feed-forward module; of each expert, where there are any. */
    MLP_OUT
}
