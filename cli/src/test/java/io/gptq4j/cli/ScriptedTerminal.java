package io.gptq4j.cli;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** A person who gives prepared answers. */
final class ScriptedTerminal implements Terminal {
    private final Deque<String> answers = new ArrayDeque<>();
    private final List<String> questions = new ArrayList<>();

    ScriptedTerminal(String... answers) {
        this.answers.addAll(List.of(answers));
    }

    /** What was asked; a secret is marked. */
    List<String> questions() {
        return questions;
    }

    @Override
    public boolean isThere() {
        return true;
    }

    @Override
    public @Nullable String ask(String prompt, boolean secret) {
        questions.add((secret ? "secret: " : "") + prompt);
        return answers.poll();
    }
}
