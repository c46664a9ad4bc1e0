/**
 * HTTP as the Hub speaks it: who gets the token, which redirects are followed, what is tried again, and which exception
 * an answer becomes.
 *
 * <p>Entry class is {@link io.gptq4j.hub.internal.http.HubHttp}. Nothing here knows what a request is for.
 */
@NullMarked
package io.gptq4j.hub.internal.http;

import org.jspecify.annotations.NullMarked;
