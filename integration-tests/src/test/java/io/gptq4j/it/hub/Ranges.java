package io.gptq4j.it.hub;

import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Range requests for one range of bytes; RFC 9110, section 14. */
final class Ranges {
    private static final Pattern ONE = Pattern.compile("bytes=([0-9]{0,18})-([0-9]{0,18})");

    private Ranges() {}

    /** The part of a whole 200 answer that the request asks for, or the whole. */
    static Answer apply(Request request, Answer whole) {
        String range = request.headers().get("Range");
        String condition = request.headers().get("If-Range");
        boolean stale = condition != null && !condition.equals(whole.headers().get("ETag"));
        Matcher match = ONE.matcher(String.valueOf(range));
        if (stale || !match.matches() || match.group().equals("bytes=-")) {
            return whole;
        }
        long size = whole.length();
        String first = match.group(1);
        String last = match.group(2);
        long from = first.isEmpty() ? Math.max(0, size - Long.parseLong(last)) : Long.parseLong(first);
        long to = first.isEmpty() || last.isEmpty() ? size : Math.min(size, Long.parseLong(last) + 1);
        if (!first.isEmpty() && !last.isEmpty() && Long.parseLong(last) < from) {
            return whole;
        }
        if (from >= size) {
            return Answer.xmlError(416, "InvalidRange", "The requested range is not satisfiable")
                    .header("Content-Range", "bytes */" + size);
        }
        Answer part = Answer.of(206, String.valueOf(whole.headers().get("Content-Type")), whole.content());
        whole.headers().entries().forEach(header -> part.header(header.getKey(), header.getValue()));
        return part.header("Accept-Ranges", "bytes")
                .header("Content-Range", "bytes " + from + "-" + (to - 1) + "/" + size)
                .part(from, to - from);
    }
}
