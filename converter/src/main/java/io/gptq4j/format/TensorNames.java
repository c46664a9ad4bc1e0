package io.gptq4j.format;

import java.util.Comparator;

/** The order in which the tensors of a model lie in its files. */
final class TensorNames {
    /** Runs of digits compare as numbers, so that block 2 comes before block 10 and a block's tensors lie together. */
    static final Comparator<String> NATURAL_ORDER = TensorNames::compare;

    private TensorNames() {}

    private static int compare(String a, String b) {
        int i = 0;
        int j = 0;
        while (i < a.length() && j < b.length()) {
            if (isDigit(a.charAt(i)) && isDigit(b.charAt(j))) {
                int endA = endOfNumber(a, i);
                int endB = endOfNumber(b, j);
                int startA = skipZeros(a, i, endA);
                int startB = skipZeros(b, j, endB);
                int order = Integer.compare(endA - startA, endB - startB);
                order = order != 0 ? order : a.substring(startA, endA).compareTo(b.substring(startB, endB));
                if (order != 0) {
                    return order;
                }
                i = endA;
                j = endB;
            } else if (a.charAt(i) != b.charAt(j)) {
                return Character.compare(a.charAt(i), b.charAt(j));
            } else {
                i++;
                j++;
            }
        }
        int order = Integer.compare(a.length() - i, b.length() - j);
        return order != 0 ? order : a.compareTo(b); // "01" and "1" are different names
    }

    private static int endOfNumber(String s, int start) {
        int end = start;
        while (end < s.length() && isDigit(s.charAt(end))) {
            end++;
        }
        return end;
    }

    private static int skipZeros(String s, int start, int end) {
        int first = start;
        while (first < end - 1 && s.charAt(first) == '0') {
            first++;
        }
        return first;
    }

    private static boolean isDigit(char c) {
        return c >= '0' && c <= '9';
    }
}
