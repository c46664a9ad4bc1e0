package io.gptq4j.card;

import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * The front matter of a README.md and the text below it.
 *
 * @param lineEnd the line end of its first line
 * @param yaml what stands between the two lines of dashes; empty, or with a line end at its end
 * @param closing the second line of dashes, with its line end
 * @param body everything below
 */
record FrontMatter(String lineEnd, String yaml, String closing, String body) {
    /**
     * huggingface_hub takes front matter behind white space, but not behind blanks after the dashes; other readers just
     * the other way round.
     */
    private static final Pattern OPENING = Pattern.compile("\\A\\s*---[ \\t]*(\\r\\n|\\n|\\r)");

    /** Dashes at the very start of a line: those of a block scalar's text are indented. */
    private static final Pattern CLOSING = Pattern.compile("(?<=[\\r\\n])---[ \\t]*(\\r\\n|\\n|\\r|\\z)");

    private static final Pattern LINE_END = Pattern.compile("\\r\\n|\\n|\\r");

    /** Whether a text begins as one with front matter does. */
    static boolean begins(String readme) {
        return OPENING.matcher(readme).find();
    }

    /** Takes a text apart; nothing if there is no front matter or it does not end. */
    static Optional<FrontMatter> find(String readme) {
        Matcher opening = OPENING.matcher(readme);
        Matcher closing = CLOSING.matcher(readme);
        if (!opening.find() || !closing.find(opening.end())) {
            return Optional.empty();
        }
        String lineEnd = opening.group(1);
        String lastLine = closing.group(1).isEmpty() ? closing.group() + lineEnd : closing.group();
        return Optional.of(new FrontMatter(
                lineEnd, readme.substring(opening.end(), closing.start()), lastLine, readme.substring(closing.end())));
    }

    /** Empty front matter above a whole text, in the text's line ends. */
    static FrontMatter above(String body) {
        Matcher found = LINE_END.matcher(body);
        String lineEnd = found.find() ? found.group() : "\n";
        return new FrontMatter(lineEnd, "", "---" + lineEnd, body);
    }

    /** The opening line, which must be the first of the file and hold nothing else. */
    String opening() {
        return "---" + lineEnd;
    }

    FrontMatter withYaml(String changed) {
        return new FrontMatter(lineEnd, changed, closing, body);
    }
}
