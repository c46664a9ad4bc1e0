package io.gptq4j.hub.repo;

import java.util.regex.Pattern;

/**
 * The rules for what a server names and this disk stores: paths inside a repository must stay inside whatever folder they
 * are put in, on every system, and hashes must be names.
 */
public final class RepoPaths {
    private static final Pattern DRIVE = Pattern.compile("[A-Za-z]:.*");
    private static final Pattern SEPARATOR = Pattern.compile("[/\\\\]");

    private static final Pattern NAME = Pattern.compile("[0-9A-Za-z_-][0-9A-Za-z._-]{0,127}");
    private static final int LONGEST_SHOWN = 200;

    private RepoPaths() {}

    /**
     * Gives a path back that no system takes out of its folder.
     *
     * @throws IllegalArgumentException if it is empty or absolute, or a segment is empty, {@code .}, {@code ..} or a drive
     */
    public static String requireSafe(String path) {
        if (path.isEmpty() || path.indexOf('\0') >= 0) {
            throw refused(path, "it is empty or holds a NUL character");
        }
        for (String segment : SEPARATOR.split(path, -1)) {
            if (segment.isEmpty()) {
                throw refused(path, "it is absolute or has an empty segment");
            }
            if (segment.equals(".") || segment.equals("..")) {
                throw refused(path, "it has a '" + segment + "' segment");
            }
            if (segment.equalsIgnoreCase(".git")) { // git itself takes no such path
                throw refused(path, "it reaches into a folder of git's own");
            }
            if (DRIVE.matcher(segment).matches()) {
                throw refused(path, "it names a drive");
            }
        }
        return path;
    }

    /**
     * Gives a hash or an ETag back that can name a file: servers choose them, and blobs, snapshots and locks are called so.
     *
     * @throws IllegalArgumentException if it is empty or longer than 128 characters, begins with a dot, or holds anything but
     *     letters, digits, {@code -}, {@code _} and {@code .}
     */
    public static String requireName(String name) {
        if (!NAME.matcher(name).matches()) {
            throw new IllegalArgumentException(
                    "'" + shown(name) + "' cannot name a file: expected a hash in hexadecimal digits");
        }
        return name;
    }

    private static String shown(String text) {
        return text.substring(0, Math.min(text.length(), LONGEST_SHOWN)).replaceAll("\\p{Cntrl}", "?");
    }

    private static IllegalArgumentException refused(String path, String why) {
        return new IllegalArgumentException(
                "'" + shown(path) + "' is not a path inside a repository: " + why + "; its owner has to rename it");
    }
}
