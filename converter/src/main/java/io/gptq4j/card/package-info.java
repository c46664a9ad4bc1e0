/**
 * The model card of a quantized repository: README.md with the front matter that the Hub reads, what was done, and the
 * original card below.
 *
 * <p>Entry point is {@link io.gptq4j.card.ModelCard}. The author's front matter is edited as text, never parsed and
 * written anew, so that it stays as it was but for our keys.
 */
@NullMarked
package io.gptq4j.card;

import org.jspecify.annotations.NullMarked;
