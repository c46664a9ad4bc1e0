package io.gptq4j.cli;

import io.gptq4j.hub.transfer.TransferListener;
import java.util.concurrent.atomic.AtomicLong;

/** Shows a transfer as the one phase of a progress view. Safe for concurrent use. */
final class TransferProgress implements TransferListener {
    private final ProgressView view;
    private final String title;
    private final AtomicLong done = new AtomicLong();

    /**
     * Progress of a command that transfers files.
     *
     * @param title what is being done, such as {@code downloading}
     */
    TransferProgress(ProgressView view, String title) {
        this.view = view;
        this.title = title;
    }

    @Override
    public void planned(int files, long bytes) {
        if (bytes > 0) {
            done.set(0);
            view.start(title + " " + files + (files == 1 ? " file" : " files"), bytes, Sizes::format);
        }
    }

    @Override
    public void progressed(String path, long bytes) {
        view.update(done.addAndGet(bytes), path);
    }
}
