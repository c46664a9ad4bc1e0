package io.gptq4j.card;

import java.util.ArrayList;
import java.util.List;
import java.util.regex.Pattern;

/** A command line as one would type it into a shell, without the secrets in it. */
final class CommandText {
    private static final Pattern SECRET_OPTION = Pattern.compile("(?i)(--[a-z-]*token)(=.*)?", Pattern.DOTALL);

    /** What the Hub's access tokens look like, wherever they stand. */
    private static final Pattern SECRET = Pattern.compile("hf_[A-Za-z0-9]{10,}");

    /** Stands for a token and, unlike stars, works when the command is copied. */
    private static final String STAND_IN = "$HF_TOKEN";

    private static final Pattern SAFE = Pattern.compile("[A-Za-z0-9_@%+=:,./-]+");

    private CommandText() {}

    static String of(List<String> arguments) {
        List<String> words = new ArrayList<>();
        boolean secretNext = false;
        for (String argument : arguments) {
            var option = SECRET_OPTION.matcher(argument);
            boolean secret = option.matches();
            if (secretNext) {
                words.add(STAND_IN);
            } else if (secret) {
                words.add(option.group(2) == null ? argument : option.group(1) + "=" + STAND_IN);
            } else {
                words.add(quoted(SECRET.matcher(argument).replaceAll("hf_...")));
            }
            secretNext = !secretNext && secret && option.group(2) == null;
        }
        return String.join(" ", words);
    }

    private static String quoted(String argument) {
        return SAFE.matcher(argument).matches() ? argument : "'" + argument.replace("'", "'\\''") + "'";
    }
}
