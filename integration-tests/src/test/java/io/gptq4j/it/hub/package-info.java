/**
 * A Hugging Face Hub in one process, the peer for tests and measurements of the hub client.
 *
 * <p>{@link io.gptq4j.it.hub.FakeHub} keeps repositories with true git ids, answers in the shapes of the real service, is
 * strict about what it is sent, misbehaves on request ({@link io.gptq4j.it.hub.Fault}) and remembers every
 * {@link io.gptq4j.it.hub.Exchange}. It stands on sockets of its own, because a test must be able to cut a body, reset a
 * connection or lose an answer.
 */
@NullMarked
package io.gptq4j.it.hub;

import org.jspecify.annotations.NullMarked;
