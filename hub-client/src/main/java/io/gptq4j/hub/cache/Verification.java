package io.gptq4j.hub.cache;

import java.nio.file.Path;
import java.util.List;

/**
 * How the files of a folder compare with those of a revision on the Hub.
 *
 * @param folder the folder
 * @param checked number of files that are there and were compared
 * @param mismatches those that differ, by path
 * @param missing paths of files that only the Hub has, sorted
 * @param extra paths of files that only the folder has, sorted
 */
public record Verification(
        Path folder, int checked, List<Mismatch> mismatches, List<String> missing, List<String> extra) {
    /** Copies the lists. */
    public Verification {
        mismatches = List.copyOf(mismatches);
        missing = List.copyOf(missing);
        extra = List.copyOf(extra);
    }

    /**
     * A file that differs.
     *
     * @param path the path in the repository
     * @param algorithm what was compared: {@code sha256}, {@code git-sha1}, or {@code size} if that alone tells
     * @param expected what the Hub has: a hash in hexadecimal digits, or a number of bytes
     * @param actual what is here
     */
    public record Mismatch(String path, String algorithm, String expected, String actual) {}
}
