package io.gptq4j.hub;

import io.gptq4j.hub.transfer.TransferListener;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/** Notes what a listener hears. */
final class Progress implements TransferListener {
    private final Map<String, Long> bytes = new TreeMap<>();
    private final List<String> finished = new ArrayList<>();
    private long plannedBytes;
    private int plannedFiles;

    @Override
    public synchronized void planned(int files, long bytes) {
        plannedFiles += files;
        plannedBytes += bytes;
    }

    @Override
    public synchronized void progressed(String path, long count) {
        bytes.merge(path, count, Long::sum);
    }

    @Override
    public synchronized void finished(String path) {
        finished.add(path);
    }

    /** What was said of each file, all told. */
    synchronized Map<String, Long> bytes() {
        return Map.copyOf(bytes);
    }

    synchronized List<String> finished() {
        return List.copyOf(finished);
    }

    synchronized long plannedBytes() {
        return plannedBytes;
    }

    synchronized int plannedFiles() {
        return plannedFiles;
    }
}
