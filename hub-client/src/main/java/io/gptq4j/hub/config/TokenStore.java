package io.gptq4j.hub.config;

import io.gptq4j.hub.internal.io.AtomicFiles;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/**
 * The tokens on this disk, in the two files of huggingface_hub: the active token alone in {@code token}, and all tokens
 * with their names in {@code stored_tokens} beside it.
 *
 * <p>Only the owner can read the files. Each change replaces a whole file, so that readers never see half of one; of two
 * changes at the same moment the later one wins. Nothing is kept in memory.
 */
public final class TokenStore {
    private static final String KEY = "hf_token";

    private final Path tokenFile;
    private final Path storedTokens;

    private TokenStore(Path tokenFile) {
        this.tokenFile = tokenFile;
        storedTokens = tokenFile.resolveSibling("stored_tokens");
    }

    /** The tokens that these settings name. */
    public static TokenStore of(HubConfig config) {
        return new TokenStore(config.tokenFile());
    }

    /** The file of the active token. */
    public Path tokenFile() {
        return tokenFile;
    }

    /** The file of all tokens. */
    public Path storedTokens() {
        return storedTokens;
    }

    /**
     * All stored tokens by name, sorted.
     *
     * @throws IOException if the file cannot be read, is no INI file, or holds what is no token
     */
    public Map<String, HubToken> list() throws IOException {
        Map<String, HubToken> tokens = new TreeMap<>();
        for (Map.Entry<String, Map<String, String>> section : sections().entrySet()) {
            String value = section.getValue().get(KEY);
            if (value != null && !value.isBlank()) {
                tokens.put(section.getKey(), token(section.getKey(), value));
            }
        }
        return tokens;
    }

    /** The name of the stored token that is in the token file, if there is one. */
    public Optional<String> activeName() throws IOException {
        String active = activeValue();
        return list().entrySet().stream()
                .filter(entry -> entry.getValue().value().equals(active))
                .map(Map.Entry::getKey)
                .findFirst();
    }

    /**
     * Stores a token under a name; what was stored under it before is gone, what other programs noted about it too.
     *
     * @throws IllegalArgumentException if the name cannot head a section, or the token is an organisation's
     */
    public void save(String name, HubToken token) throws IOException {
        requireUsable(token);
        if (name.isBlank()
                || !name.equals(name.strip())
                || name.equals("DEFAULT")
                || name.chars().anyMatch(Character::isISOControl)) {
            throw new IllegalArgumentException("'" + name.replaceAll("\\p{Cntrl}", "?")
                    + "' cannot be the name of a token: it is empty or reserved, or has control characters or outer"
                    + " spaces; rename the token on the Hub");
        }
        Map<String, Map<String, String>> sections = new TreeMap<>(sections());
        sections.put(name, new LinkedHashMap<>(Map.of(KEY, token.value())));
        AtomicFiles.writePrivate(storedTokens, IniFile.format(sections));
    }

    /**
     * Puts a stored token into the token file.
     *
     * @throws IllegalArgumentException if there is none of that name
     */
    public HubToken activate(String name) throws IOException {
        HubToken token = list().get(name);
        if (token == null) {
            throw new IllegalArgumentException(
                    "There is no token '" + name + "' in " + storedTokens + "; 'auth list' shows those that are there");
        }
        AtomicFiles.writePrivate(tokenFile, token.value());
        return token;
    }

    /**
     * Forgets a stored token, in the token file too if it is the active one.
     *
     * @return whether there was one
     */
    public boolean remove(String name) throws IOException {
        Map<String, Map<String, String>> sections = sections();
        Map<String, String> removed = sections.remove(name);
        if (removed == null) {
            return false;
        }
        AtomicFiles.writePrivate(storedTokens, IniFile.format(sections));
        if (activeValue().equals(removed.get(KEY))) {
            Files.deleteIfExists(tokenFile);
        }
        return true;
    }

    /**
     * Forgets every token.
     *
     * @return whether there was any
     */
    public boolean clear() throws IOException {
        boolean active = Files.deleteIfExists(tokenFile);
        return Files.deleteIfExists(storedTokens) || active;
    }

    /**
     * Refuses a token of a kind that the Hub no longer takes.
     *
     * @throws IllegalArgumentException if it is an organisation's
     */
    public static void requireUsable(HubToken token) {
        if (token.value().startsWith("api_org")) {
            throw new IllegalArgumentException("The token from " + token.source() + " belongs to an organisation"
                    + " (api_org...), and such tokens are no longer accepted; use a personal token, hf_...");
        }
    }

    private String activeValue() throws IOException {
        return Files.isRegularFile(tokenFile) ? Files.readString(tokenFile).strip() : "";
    }

    private Map<String, Map<String, String>> sections() throws IOException {
        return Files.isRegularFile(storedTokens)
                ? IniFile.parse(Files.readString(storedTokens), storedTokens.toString())
                : new LinkedHashMap<>();
    }

    private HubToken token(String name, String value) throws IOException {
        try {
            return new HubToken(value, "'" + name + "' in the file " + storedTokens);
        } catch (IllegalArgumentException e) {
            throw new IOException(e.getMessage(), e);
        }
    }
}
