package io.gptq4j.cli;

import com.sun.management.OperatingSystemMXBean;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** How much memory a process can take here before the machine swaps or kills it. */
final class HostMemory {
    private static final Path MEMINFO = Path.of("/proc/meminfo");
    private static final Pattern AVAILABLE = Pattern.compile("MemAvailable:\\s+(\\d{1,15}) kB");

    private HostMemory() {}

    /** Bytes: on Linux what the kernel could free counts too, and a container's limit holds everywhere. */
    static long available() {
        OperatingSystemMXBean system = (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
        long limit = system.getTotalMemorySize();
        try {
            return Math.min(limit, available(Files.readAllLines(MEMINFO), system.getFreeMemorySize()));
        } catch (IOException notLinux) {
            return system.getFreeMemorySize();
        }
    }

    /** From the lines of {@code /proc/meminfo}; {@code otherwise} if an old kernel does not say. */
    static long available(List<String> meminfo, long otherwise) {
        for (String line : meminfo) {
            Matcher available = AVAILABLE.matcher(line);
            if (available.matches()) {
                return Long.parseLong(available.group(1)) * 1024;
            }
        }
        return otherwise;
    }
}
