package io.gptq4j.cli;

import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.FutureTask;
import org.jspecify.annotations.Nullable;

/** Whoever can answer questions: a person at the keyboard. */
interface Terminal {
    /** Nobody. */
    Terminal NONE = new Terminal() {
        @Override
        public boolean isThere() {
            return false;
        }

        @Override
        public @Nullable String ask(String prompt, boolean secret) {
            return null;
        }
    };

    /** Whether anybody can answer. */
    boolean isThere();

    /**
     * Asks for one line.
     *
     * @param secret whether what is typed must not be seen
     * @return the line, or null if there is none
     * @throws InterruptedException if the command is interrupted in the meantime
     */
    @Nullable
    String ask(String prompt, boolean secret) throws InterruptedException;

    /**
     * The terminal of this process, if standard input and output are one. From Java 22 on there would be a console anyway,
     * if the start scripts did not ask for the old behaviour.
     */
    static Terminal ofProcess() {
        return Optional.ofNullable(System.console()).map(Terminal::on).orElse(NONE);
    }

    private static Terminal on(java.io.Console console) {
        return new Terminal() {
            @Override
            public boolean isThere() {
                return true;
            }

            @Override
            public @Nullable String ask(String prompt, boolean secret) throws InterruptedException {
                return interruptibly(() -> {
                    if (!secret) {
                        return console.readLine("%s", prompt);
                    }
                    char[] typed = console.readPassword("%s", prompt);
                    return typed == null ? null : new String(typed);
                });
            }
        };
    }

    /** Reading a terminal cannot be interrupted, so a thread that need not end does it, and Ctrl-C ends the waiting. */
    private static @Nullable String interruptibly(Callable<@Nullable String> reading) throws InterruptedException {
        FutureTask<@Nullable String> task = new FutureTask<>(reading);
        Thread thread = new Thread(task, "terminal");
        thread.setDaemon(true);
        thread.start();
        try {
            return task.get();
        } catch (ExecutionException e) {
            throw new IllegalStateException("The terminal cannot be read", e.getCause());
        }
    }
}
