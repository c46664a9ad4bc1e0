/**
 * What can go wrong between us and the Hub, one class for each thing a caller may want to tell apart; the names are
 * those of huggingface_hub's errors.
 *
 * <p>All are {@link java.io.IOException}s below {@link io.gptq4j.hub.error.HubException}. Messages name what was
 * attempted, the address without its query, the Hub's own words and its request id; never a token.
 */
@NullMarked
package io.gptq4j.hub.error;

import org.jspecify.annotations.NullMarked;
