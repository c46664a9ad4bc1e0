package io.gptq4j.hub.internal.upload;

import java.util.Collections;
import java.util.Map;
import java.util.TreeMap;
import okhttp3.HttpUrl;
import org.jspecify.annotations.Nullable;

/**
 * An upload in parts.
 *
 * @param href where it is completed
 * @param chunkSize bytes of all parts but the last
 * @param addresses where each part goes, by its number from 1 on
 * @param etags what the store answered for each part that it has
 */
record Multipart(String href, long chunkSize, Map<Integer, String> addresses, Map<Integer, String> etags) {
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
        return addresses.size() == count && addresses.containsKey(1) && addresses.containsKey((int) count);
    }

    /** Whether this is the same upload with fresh signatures. */
    boolean isSameUpload(Multipart other) {
        return chunkSize == other.chunkSize
                && identity(href).equals(identity(other.href))
                && addresses.keySet().equals(other.addresses.keySet())
                && addresses.entrySet().stream()
                        .allMatch(
                                part -> identity(part.getValue()).equals(identity(other.addresses.get(part.getKey()))));
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

    /** An address without its signature. S3 names the upload in the query, other stores in the path. */
    private static String identity(@Nullable String address) {
        HttpUrl url = address == null ? null : HttpUrl.parse(address);
        return url == null
                ? String.valueOf(address)
                : url.newBuilder().query(null).build() + "?" + url.queryParameter("uploadId");
    }
}
