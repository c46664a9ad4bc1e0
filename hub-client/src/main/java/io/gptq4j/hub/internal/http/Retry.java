package io.gptq4j.hub.internal.http;

import io.gptq4j.hub.error.HubException;
import io.gptq4j.hub.error.HubHttpException;
import io.gptq4j.hub.error.HubNetworkException;
import java.io.IOException;
import java.time.Duration;
import java.util.Set;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * What is tried again, how often and after which wait: five more times after 1, 2, 4, 8 and 8 seconds, as
 * huggingface_hub does, or when the server says. Safe for concurrent use.
 */
public final class Retry {
    private static final Logger LOG = LoggerFactory.getLogger(Retry.class);
    private static final Set<Integer> FINAL_5XX = Set.of(501, 505, 507, 510, 511);
    private static final Duration WORTH_A_WORD = Duration.ofSeconds(4);
    private static final int MORE_ATTEMPTS = 5;
    private static final Duration LONGEST_OWN_WAIT = Duration.ofSeconds(8);
    /** The Hub's windows last five minutes; who asks for much more means "not today". */
    private static final Duration LONGEST_WAIT = Duration.ofMinutes(15);

    private final Waiter waiter;

    /** With a clock of its own. */
    public Retry(Waiter waiter) {
        this.waiter = waiter;
    }

    /** Something that can be done again from the start. */
    @FunctionalInterface
    public interface Attempt<T> {
        /** Does it once. */
        T run() throws IOException;
    }

    /** Does it until it succeeds, fails for good or has failed too often. */
    public <T> T run(Attempt<T> attempt) throws IOException {
        Budget budget = budget();
        while (true) {
            try {
                return attempt.run();
            } catch (HubException e) {
                budget.failed(e);
            }
        }
    }

    /** A fresh count of failures. */
    public Budget budget() {
        return new Budget();
    }

    /** Whether the same request may end otherwise the next time. */
    public static boolean isTransient(HubException failure) {
        if (failure instanceof HubHttpException http) {
            int status = http.status();
            return status == 408 || status == 429 || (status >= 500 && !FINAL_5XX.contains(status));
        }
        return failure instanceof HubNetworkException network && !network.isPermanent();
    }

    /** Whether the server may have done what was asked although no answer says so. */
    public static boolean isAmbiguous(HubException failure) {
        return isTransient(failure) && !(failure instanceof HubHttpException http && http.status() == 429);
    }

    /** How much failing is left to one transfer. Belongs to one thread. */
    public final class Budget {
        private int failures;

        /** Something arrived: the line is bad, not dead. */
        public void progressed() {
            failures = 0;
        }

        /**
         * Waits for the next attempt.
         *
         * @throws HubException the failure itself, if there will be no other attempt
         */
        public void failed(HubException failure) throws IOException {
            if (!isTransient(failure) || failures >= MORE_ATTEMPTS) {
                throw failure;
            }
            Duration own = Duration.ofSeconds(1L << Math.min(failures, 30));
            Duration wait = own.compareTo(LONGEST_OWN_WAIT) > 0 ? LONGEST_OWN_WAIT : own;
            if (failure instanceof HubHttpException http) {
                wait = http.retryAfter().orElse(wait);
            }
            if (wait.compareTo(LONGEST_WAIT) > 0) {
                throw failure;
            }
            failures++;
            String message = failure.getMessage() + "; trying again in " + wait.toSeconds() + " s (" + failures + " of "
                    + MORE_ATTEMPTS + ")";
            if (wait.compareTo(WORTH_A_WORD) < 0) {
                LOG.info(message);
            } else {
                LOG.warn(message); // nobody likes to wait without knowing what for
            }
            waiter.await(wait);
        }
    }
}
