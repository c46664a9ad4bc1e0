package io.gptq4j.eval;

/**
 * A perplexity by the protocol of the GPTQ paper's code: windows without overlap, nothing carried from one to the next,
 * no tokens added, the first token of each window not scored.
 *
 * @param perplexity exp of {@code nll}
 * @param nll mean negative log-likelihood per scored token, in nats
 * @param windows windows scored
 * @param window tokens per window
 * @param tokens tokens scored: windows * (window - 1)
 */
public record Perplexity(double perplexity, double nll, int windows, int window, long tokens) {}
