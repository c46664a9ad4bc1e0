/**
 * The cache that all programs of this machine share, looked at from outside: what it holds, whether it is intact, and how
 * to make room in it.
 *
 * <p>Entry class is {@link io.gptq4j.hub.cache.HubCache}. The layout is huggingface_hub's. Nothing here needs the Hub, and
 * nothing here writes; what is deleted is shown as a {@link io.gptq4j.hub.cache.DeletionPlan} first.
 */
@NullMarked
package io.gptq4j.hub.cache;

import org.jspecify.annotations.NullMarked;
