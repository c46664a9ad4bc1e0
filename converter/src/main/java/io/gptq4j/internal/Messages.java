package io.gptq4j.internal;

/** Wording that error messages share. */
public final class Messages {
    private static final int LONGEST = 200;

    private Messages() {}

    /** A name from a file in quotes, cut and stripped of control characters: a hostile file must not paint terminals. */
    public static String quote(String name) {
        StringBuilder out = new StringBuilder("'");
        for (int i = 0; i < Math.min(name.length(), LONGEST); i++) {
            char c = name.charAt(i);
            out.append(Character.isISOControl(c) || (Character.isSurrogate(c) && !isPaired(name, i)) ? '?' : c);
        }
        return out.append(name.length() > LONGEST ? "...'" : "'").toString();
    }

    /** Whether every surrogate has its partner, that is, whether the text can be written as UTF-8. */
    public static boolean isWellFormed(String text) {
        for (int i = 0; i < text.length(); i++) {
            if (Character.isSurrogate(text.charAt(i)) && !isPaired(text, i)) {
                return false;
            }
        }
        return true;
    }

    private static boolean isPaired(String text, int i) {
        return Character.isHighSurrogate(text.charAt(i))
                ? i + 1 < text.length() && Character.isLowSurrogate(text.charAt(i + 1))
                : i > 0 && Character.isHighSurrogate(text.charAt(i - 1));
    }
}
