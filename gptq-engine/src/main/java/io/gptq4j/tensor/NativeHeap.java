package io.gptq4j.tensor;

import java.lang.management.ManagementFactory;
import javax.management.JMException;
import javax.management.ObjectName;

/** Memory outside Java's heap. */
public final class NativeHeap {
    private NativeHeap() {}

    /**
     * Gives back to the system what libtorch has freed and the C library keeps for later: hundreds of megabytes after a large model
     * has gone by block by block. Does nothing where Java has no command for it, which is one of Linux with glibc.
     */
    public static void trim() {
        try {
            ManagementFactory.getPlatformMBeanServer()
                    .invoke(
                            new ObjectName("com.sun.management:type=DiagnosticCommand"),
                            "systemTrimNativeHeap",
                            new Object[] {new String[0]},
                            new String[] {String[].class.getName()});
        } catch (JMException e) {
            return; // the memory stays where it is, as it would have
        }
    }
}
