/**
 * The Hub's JSON API, one method for each endpoint.
 *
 * <p>Entry class is {@link io.gptq4j.hub.internal.api.HubApi}. The routes are described in the Hub's documentation, "Hub API
 * Endpoints".
 */
@NullMarked
package io.gptq4j.hub.internal.api;

import org.jspecify.annotations.NullMarked;
