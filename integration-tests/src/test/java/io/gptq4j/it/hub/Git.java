package io.gptq4j.it.hub;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/** Object ids as git computes them: the sha1 of kind, size and content. */
final class Git {
    private Git() {}

    static String blob(byte[] content) {
        return id("blob", content);
    }

    /** The pointer that stands in the tree for an LFS object; the format is git-lfs's specification, version 1. */
    static byte[] lfsPointer(String sha256, long size) {
        return ("version https://git-lfs.github.com/spec/v1\noid sha256:" + sha256 + "\nsize " + size + "\n")
                .getBytes(StandardCharsets.US_ASCII);
    }

    /** The id of the tree of all files below {@code prefix} ("" or ending in /); every folder's id is put into {@code folders}. */
    static String tree(String prefix, SortedMap<String, HubFile> files, Map<String, String> folders) {
        // Git orders folders as if their names ended in a slash.
        SortedMap<byte[], byte[]> lines = new TreeMap<>(Arrays::compareUnsigned);
        for (Map.Entry<String, HubFile> file : files.entrySet()) {
            String rest = file.getKey().substring(prefix.length());
            int slash = rest.indexOf('/');
            if (slash < 0) {
                lines.put(utf8(rest), line("100644", rest, file.getValue().blobId()));
                continue;
            }
            String folder = prefix + rest.substring(0, slash);
            if (!folders.containsKey(folder)) {
                String id = tree(folder + "/", files.subMap(folder + "/", folder + "0"), folders);
                folders.put(folder, id);
                String name = rest.substring(0, slash);
                lines.put(utf8(name + "/"), line("40000", name, id));
            }
        }
        ByteArrayOutputStream tree = new ByteArrayOutputStream();
        lines.values().forEach(tree::writeBytes);
        return id("tree", tree.toByteArray());
    }

    static String commit(String tree, @Nullable String parent, String author, long epochSecond, String message) {
        String person = author + " <" + author + "@users.noreply.example> " + epochSecond + " +0000";
        String text = "tree " + tree + "\n"
                + (parent == null ? "" : "parent " + parent + "\n")
                + "author " + person + "\n"
                + "committer " + person + "\n\n"
                + message + "\n";
        return id("commit", utf8(text));
    }

    private static byte[] line(String mode, String name, String id) {
        ByteArrayOutputStream line = new ByteArrayOutputStream();
        line.writeBytes(utf8(mode + " " + name + "\0"));
        line.writeBytes(HexFormat.of().parseHex(id));
        return line.toByteArray();
    }

    private static String id(String kind, byte[] content) {
        MessageDigest digest = Hex.sha1();
        digest.update(utf8(kind + " " + content.length + "\0"));
        return Hex.of(digest.digest(content));
    }

    private static byte[] utf8(String text) {
        return text.getBytes(StandardCharsets.UTF_8);
    }

    /** The sha256 of a content of any size. */
    static String sha256(Content content) throws IOException {
        MessageDigest digest = Hex.sha256();
        byte[] buffer = new byte[1 << 18];
        try (var in = content.open()) {
            for (int read = in.read(buffer); read >= 0; read = in.read(buffer)) {
                digest.update(buffer, 0, read);
            }
        }
        return Hex.of(digest.digest());
    }
}
