package io.gptq4j.hub.repo;

import java.util.regex.Pattern;

/** The rule for paths inside a repository: they must stay inside whatever folder they are put in, on every system. */
public final class RepoPaths {
    private static final Pattern DRIVE = Pattern.compile("[A-Za-z]:.*");
    private static final Pattern SEPARATOR = Pattern.compile("[/\\\\]");

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
            if (DRIVE.matcher(segment).matches()) {
                throw refused(path, "it names a drive");
            }
        }
        return path;
    }

    private static IllegalArgumentException refused(String path, String why) {
        String shown = path.replaceAll("\\p{Cntrl}", "?");
        return new IllegalArgumentException("'" + shown.substring(0, Math.min(shown.length(), 200))
                + "' is not a path inside a repository: " + why + "; its owner has to rename it");
    }
}
