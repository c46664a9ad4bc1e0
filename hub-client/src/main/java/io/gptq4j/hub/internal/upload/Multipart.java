package io.gptq4j.hub.internal.upload;

import java.util.Collections;
import java.util.Map;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * An upload in parts.
 *
 * @param href where it is completed
 * @param chunkSize bytes of all parts but the last
 * @param addresses where each part goes, by its number from 1 on
 * @param etags what the store answered for each part that it has
 */
record Multipart(String href, long chunkSize, Map<Integer, String> addresses, Map<Integer, String> etags) {
    private static final Pattern UPLOAD_ID = Pattern.compile("[?&]uploadId=([^&]*)");

    Multipart {
        addresses = Collections.unmodifiableMap(new TreeMap<>(addresses));
        etags = Collections.unmodifiableMap(new TreeMap<>(etags));
    }

    /** Whether there is an address for each part of so many bytes. */
    boolean fits(long size) {
        if (chunkSize <= 0) {
            return false;
        }
        long count = (size + chunkSize - 1) / chunkSize;
        return count > 0
                && addresses.size() == count
                && Collections.min(addresses.keySet()) == 1
                && Collections.max(addresses.keySet()) == count;
    }

    /**
     * Whether this is the same upload with fresh signatures. The Hub completes all uploads at one path; which one is meant,
     * S3's {@code uploadId} says.
     */
    boolean isSameUpload(Multipart other) {
        return chunkSize == other.chunkSize
                && bare(href).equals(bare(other.href))
                && uploadId(href).equals(uploadId(other.href))
                && bare(firstPart()).equals(bare(other.firstPart()))
                && uploadId(firstPart()).equals(uploadId(other.firstPart()));
    }

    /** With one part more that the store has. */
    Multipart with(int part, String etag) {
        Map<Integer, String> more = new TreeMap<>(etags);
        more.put(part, etag);
        return new Multipart(href, chunkSize, addresses, more);
    }

    /** With the parts that the store is known to have. */
    Multipart having(Map<Integer, String> etags) {
        return new Multipart(href, chunkSize, addresses, etags);
    }

    private String firstPart() {
        return addresses.getOrDefault(1, "");
    }

    private static String uploadId(String address) {
        Matcher id = UPLOAD_ID.matcher(address);
        return id.find() ? id.group(1) : "";
    }

    private static String bare(String address) {
        int query = address.indexOf('?');
        return query < 0 ? address : address.substring(0, query);
    }
}
