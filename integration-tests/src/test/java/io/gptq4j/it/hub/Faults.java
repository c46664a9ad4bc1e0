package io.gptq4j.it.hub;

import java.util.ArrayList;
import java.util.List;

/** The faults in wait; the first one that matches a request is used. */
final class Faults {
    private static final class Armed {
        private final Fault fault;
        private int skip;
        private int left;

        private Armed(Fault fault) {
            this.fault = fault;
            this.skip = fault.skip;
            this.left = fault.times;
        }
    }

    private final List<Armed> armed = new ArrayList<>();

    synchronized void add(Fault fault) {
        armed.add(new Armed(fault));
    }

    synchronized void clear() {
        armed.clear();
    }

    /** Faults that have not been used up. */
    synchronized List<Fault> pending() {
        return armed.stream().map(one -> one.fault).toList();
    }

    synchronized Fault take(Request request) {
        Armed found = null;
        for (Armed one : armed) {
            if (one.fault.matches(request) && found == null) {
                if (one.skip > 0) {
                    one.skip--;
                } else {
                    found = one;
                }
            }
        }
        if (found == null) {
            return Fault.NONE;
        }
        found.left--;
        if (found.left <= 0) {
            armed.remove(found);
        }
        return found.fault;
    }
}
