/**
 * Settings, as huggingface_hub takes them: environment variables, the token and where it came from, the file of stored
 * tokens.
 *
 * <p>Entry class is {@link io.gptq4j.hub.config.HubConfig}. Only this package reads the environment.
 */
@NullMarked
package io.gptq4j.hub.config;

import org.jspecify.annotations.NullMarked;
