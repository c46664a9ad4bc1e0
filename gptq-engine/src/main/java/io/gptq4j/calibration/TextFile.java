package io.gptq4j.calibration;

import java.io.IOException;
import java.nio.charset.CharacterCodingException;
import java.nio.file.Files;
import java.nio.file.Path;

/** A text a user names: UTF-8, nothing else. */
public final class TextFile {
    private TextFile() {}

    /**
     * The whole text.
     *
     * @throws CalibrationException if this is a directory or is not UTF-8
     * @throws java.nio.file.NoSuchFileException if there is no such file
     */
    public static String read(Path file) throws IOException {
        requireFile(file);
        try {
            return Files.readString(file);
        } catch (CharacterCodingException e) {
            throw notUtf8(file.toString(), e);
        }
    }

    /** Reading a directory fails late, and without its name. */
    static void requireFile(Path file) throws CalibrationException {
        if (Files.isDirectory(file)) {
            throw new CalibrationException(file + " is a directory; expected a text file");
        }
    }

    static CalibrationException notUtf8(String source, CharacterCodingException cause) {
        return new CalibrationException(source + " is not UTF-8 text; convert it, with iconv for example", cause);
    }
}
