package io.gptq4j.it;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.gptq4j.it.hub.FakeHub;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.function.Predicate;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;

/**
 * A recording that is played scene by scene with our client in the part of the original. Where ours speaks otherwise, the
 * scene has edits of the recording, each with its reason; an edit that changes nothing is an error, and so is a scene that is
 * neither played nor left out.
 */
final class Play {
    /** What an edit makes of a recorded scene. */
    interface Edit {
        List<String> of(List<String> blocks);
    }

    /** What our client does. */
    interface Action {
        Object run() throws Exception;
    }

    private static final Pattern RESOLVE = Pattern.compile("HEAD (\\S+/resolve/[^/ ]+)/(\\S+) -> (30[27])\n");

    private static final Pattern COMMIT =
            Pattern.compile("POST (\\S+)/commit/(\\S+) -> \\d+\n(  authorization: [^\n]+)\n");

    private final FakeHub hub;
    private final Transcript transcript = new Transcript();
    private final Map<String, List<String>> scenes = new LinkedHashMap<>();
    private final List<String> played = new ArrayList<>();

    /** Opens a recording of src/test/resources/traces. */
    Play(FakeHub hub, String name) throws IOException {
        this.hub = hub;
        try (InputStream in =
                Objects.requireNonNull(Play.class.getResourceAsStream("/traces/" + name + ".txt"), name)) {
            String text = new String(in.readAllBytes(), StandardCharsets.UTF_8);
            for (String scene : text.substring(2).split("\n\n# ")) {
                String[] parts = scene.strip().split("\n(?! )");
                assertThat(scenes.put(parts[0], List.of(parts).subList(1, parts.length)))
                        .as(parts[0])
                        .isNull();
            }
        }
    }

    /** Plays a scene that ends well. */
    void scene(String title, Action action, Edit... edits) throws Exception {
        hub.clearLog();
        assertThat(action.run()).as(title).isNotNull();
        assertSaid(title, false, edits);
    }

    /** Plays a scene in which both do several things at once, so that the order of exchanges is left to chance. */
    void parallel(String title, Action action, Edit... edits) throws Exception {
        hub.clearLog();
        assertThat(action.run()).as(title).isNotNull();
        assertSaid(title, true, edits);
    }

    /** Plays a scene that ends with an exception. */
    void refused(String title, Class<? extends Exception> type, Action action, Edit... edits) {
        hub.clearLog();
        assertThatThrownBy(action::run).as(title).isInstanceOf(type);
        assertSaid(title, false, edits);
    }

    /** What was recorded in a scene, for edits of another one. */
    List<String> recorded(String title) {
        return Objects.requireNonNull(scenes.get(title), title);
    }

    /** Leaves a scene out. */
    void without(String title, String reason) {
        assertThat(reason).isNotEmpty();
        take(title);
    }

    /** To be called in the end. */
    void end() {
        assertThat(played).containsExactlyInAnyOrderElementsOf(scenes.keySet());
        assertThat(hub.pendingFaults()).isEmpty();
    }

    private List<String> take(String title) {
        played.add(title);
        return recorded(title);
    }

    private void assertSaid(String title, boolean parallel, Edit... edits) {
        List<String> expected = take(title);
        for (Edit edit : edits) {
            List<String> edited = edit.of(expected);
            assertThat(edited).as("an edit of '%s' changes nothing", title).isNotEqualTo(expected);
            expected = edited;
        }
        List<String> said = transcript.of(hub.log());
        if (parallel) {
            assertThat(said).as(title).containsExactlyInAnyOrderElementsOf(expected);
        } else {
            assertThat(said).as(title).isEqualTo(Transcript.ordered(expected));
        }
    }

    /** Leaves exchanges out whose first line matches. */
    static Edit dropped(String reason, String firstLine) {
        assertThat(reason).isNotEmpty();
        return blocks -> blocks.stream()
                .filter(block -> !Pattern.compile(firstLine).matcher(block).lookingAt())
                .toList();
    }

    /** Says something in other words, wherever it is said. */
    static Edit changed(String reason, String pattern, String replacement) {
        assertThat(reason).isNotEmpty();
        return blocks -> blocks.stream()
                .map(block -> block.replaceAll(pattern, replacement))
                .toList();
    }

    /** Puts the last exchange in other words. */
    static Edit lastChanged(String reason, String pattern, String replacement) {
        assertThat(reason).isNotEmpty();
        return blocks -> {
            List<String> edited = new ArrayList<>(blocks);
            int last = edited.size() - 1;
            edited.set(last, edited.get(last).replaceAll(pattern, replacement));
            return edited;
        };
    }

    /** Says more in the end. */
    static Edit added(String reason, String... more) {
        return added(reason, List.of(more));
    }

    /** Says more in the end. */
    static Edit added(String reason, List<String> more) {
        return addedAt(reason, Integer.MAX_VALUE, more);
    }

    /** Says more before the exchange with this number, from 0 on. */
    static Edit addedAt(String reason, int at, List<String> more) {
        assertThat(reason).isNotEmpty();
        return blocks -> {
            List<String> edited = new ArrayList<>(blocks);
            edited.addAll(Math.min(at, blocks.size()), more);
            return edited;
        };
    }

    /** A commit is made on top of the head, which is asked for right before, so that it can be made only once. */
    static Edit onTopOfTheHead() {
        return blocks -> {
            List<String> edited = new ArrayList<>();
            for (String block : blocks) {
                Matcher commit = COMMIT.matcher(block);
                if (commit.lookingAt() && !block.contains("\"parentCommit\"")) {
                    edited.add(
                            "GET " + commit.group(1) + "/revision/" + commit.group(2) + " -> 200\n" + commit.group(3));
                    edited.add(block.replaceAll("(\"description\":\"[^\"]*\",)", "$1\"parentCommit\":\"{commit}\","));
                } else {
                    edited.add(block);
                }
            }
            return edited;
        };
    }

    /** Says something before everything else. */
    static Edit first(String reason, String firstLine) {
        assertThat(reason).isNotEmpty();
        Predicate<String> isFirst =
                block -> Pattern.compile(firstLine).matcher(block).lookingAt();
        return blocks -> Stream.concat(
                        blocks.stream().filter(isFirst), blocks.stream().filter(isFirst.negate()))
                .toList();
    }

    /** Says one of two equal neighbours only. */
    static Edit onceOf(String reason, String firstLine) {
        assertThat(reason).isNotEmpty();
        return blocks -> {
            List<String> edited = new ArrayList<>();
            for (String block : blocks) {
                boolean isRepeated =
                        !edited.isEmpty() && edited.get(edited.size() - 1).equals(block);
                if (!isRepeated || !Pattern.compile(firstLine).matcher(block).lookingAt()) {
                    edited.add(block);
                }
            }
            return edited;
        };
    }

    /**
     * A snapshot asks for no metadata, because the listing told size and hash of each file. So the first HEAD of a file
     * becomes the GET that is redirected, and that of an empty file, which is not fetched, is not sent.
     */
    static Edit treeTellsWhatHeadsAskFor() {
        return blocks -> {
            List<String> edited = new ArrayList<>();
            for (String block : blocks) {
                Matcher head = RESOLVE.matcher(block);
                if (!block.startsWith("HEAD ")) {
                    edited.add(block);
                } else if (head.lookingAt() && (head.group(3).equals("302") || isFetched(head.group(2), blocks))) {
                    edited.add(block.replaceFirst("HEAD", "GET").replace("\n  accept-encoding: identity", ""));
                }
            }
            return edited;
        };
    }

    private static boolean isFetched(String path, List<String> blocks) {
        return blocks.stream()
                .anyMatch(block -> block.startsWith("GET /api/resolve-cache/") && block.contains("}/" + path + " ->"));
    }
}
