/**
 * What is asked of a download or an upload, what it tells while it runs, and what comes of it.
 *
 * <p>Entry classes are {@link io.gptq4j.hub.transfer.SnapshotRequest} and
 * {@link io.gptq4j.hub.transfer.CommitRequest}. Values only; {@link io.gptq4j.hub.transfer.Patterns} is the one rule.
 */
@NullMarked
package io.gptq4j.hub.transfer;

import org.jspecify.annotations.NullMarked;
