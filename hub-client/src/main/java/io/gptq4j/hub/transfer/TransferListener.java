package io.gptq4j.hub.transfer;

/** Hears how transfers go on. Called from several threads at once; must be quick and must not throw. */
public interface TransferListener {
    /** Hears nothing. */
    TransferListener NONE = new TransferListener() {};

    /**
     * Several files are about to be transferred, or found to be there.
     *
     * @param files number of files
     * @param bytes their size together
     */
    default void planned(int files, long bytes) {}

    /**
     * Some bytes of a file are where they belong: transferred, or found to be there.
     *
     * @param path path in the repository
     * @param bytes how many more; negative if bytes turned out to be wrong and will be transferred again
     */
    default void progressed(String path, long bytes) {}

    /** A file is complete and checked. */
    default void finished(String path) {}
}
