package io.gptq4j.checkpoint;

import java.io.IOException;
import java.nio.channels.SeekableByteChannel;
import java.util.Set;

/**
 * Weight files of a checkpoint that are somewhere else than its other files and can be read by position, such as those of a
 * repository on the Hub.
 */
public interface RemoteWeights {
    /** Names of all files that are there, weights or not. */
    Set<String> files();

    /**
     * Opens one.
     *
     * @param file one of {@link #files()}
     * @return belongs to the caller; used by one thread at a time
     */
    SeekableByteChannel open(String file) throws IOException;
}
