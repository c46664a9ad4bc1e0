package io.gptq4j.hub.repo;

import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Who a token belongs to.
 *
 * @param name the user's or organisation's name
 * @param type {@code user}, {@code org} or {@code app}
 * @param fullName as shown on the profile, or null
 * @param organisations names of the organisations the user is in
 * @param tokenName the token's own name, or null
 * @param tokenRole {@code read}, {@code write} or {@code fineGrained}, or null
 */
public record Identity(
        String name,
        String type,
        @Nullable String fullName,
        List<String> organisations,
        @Nullable String tokenName,
        @Nullable String tokenRole) {
    /** Copies the list. */
    public Identity {
        organisations = List.copyOf(organisations);
    }
}
