package io.gptq4j.tensor;

import ai.djl.Device;
import ai.djl.engine.Engine;
import ai.djl.engine.EngineException;
import ai.djl.engine.StandardCapabilities;
import ai.djl.pytorch.engine.PtNDManager;
import ai.djl.pytorch.jni.JniUtils;
import ai.djl.util.cuda.CudaUtils;
import java.io.IOException;
import java.lang.management.MemoryUsage;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * A session with libtorch on one device. Open it once, on the thread that computes: libtorch has its own threads, and
 * calling it from several Java threads only makes them compete, unless they share its threads out as {@link Halves} do. Apart from
 * those not thread-safe.
 */
public final class Torch implements AutoCloseable {
    private static final Pattern CUDA = Pattern.compile("(?:cuda|gpu)(?::(\\d+))?");

    /** Bytes moved per read when a tensor is filled; buffers over libtorch's memory cannot exceed 2 GiB. */
    private static final long CHUNK = 1L << 28;

    private static final Pattern BFLOAT16_FLAG = Pattern.compile("\\b(?:avx512_bf16|amx_bf16|bf16)\\b");

    private final Device device;
    private final long chunk;
    private final PtNDManager host;
    private final Scope root;
    private final Halves halves;
    private final Map<String, Script> scripts = new ConcurrentHashMap<>();

    private Torch(Device device, long chunk) {
        this.device = device;
        this.chunk = chunk;
        this.host = (PtNDManager) Engine.getEngine("PyTorch").newBaseManager(Device.cpu());
        this.root = new Scope(this, (PtNDManager) Engine.getEngine("PyTorch").newBaseManager(device));
        this.halves = new Halves(isGpu());
    }

    /**
     * Starts libtorch, which takes about half a second, or three where its libraries are unpacked for the first time.
     * Nothing is downloaded.
     *
     * @param device {@code auto} (a GPU where there is one), {@code cpu}, {@code cuda} or {@code cuda:N}
     * @throws IllegalArgumentException if the name is none of these or there is no such device
     */
    public static Torch open(String device) {
        return open(device, CHUNK);
    }

    /** The same with tensors filled {@code chunk} bytes at a time. */
    static Torch open(String device, long chunk) {
        // DJL would fetch natives and report usage to a server otherwise; all network traffic here is the hub client's.
        System.setProperty("ai.djl.offline", "true");
        Engine engine = Engine.getEngine("PyTorch");
        enterThread();
        return new Torch(resolve(engine, device), chunk);
    }

    /**
     * Prepares the calling thread. The profiling executor recompiles while it runs and its CUDA fuser is fragile; our kernels
     * need neither. The switch is the thread's own.
     */
    static void enterThread() {
        JniUtils.setGraphExecutorOptimize(false);
    }

    private static Device resolve(Engine engine, String name) {
        Matcher cuda = CUDA.matcher(name);
        if (name.equals("cpu")) {
            return Device.cpu();
        } else if (name.equals("auto")) {
            return engine.hasCapability(StandardCapabilities.CUDA) && engine.getGpuCount() > 0
                    ? Device.gpu(0)
                    : Device.cpu();
        } else if (cuda.matches()) {
            if (!engine.hasCapability(StandardCapabilities.CUDA)) {
                throw new IllegalArgumentException(
                        "Device " + name + " is not there: this libtorch was built for the"
                                + " CPU only. The README's GPU section says how to bring a CUDA build along; or use --device cpu.");
            }
            String index = cuda.group(1) == null ? "0" : cuda.group(1);
            // 0 says nothing about a ROCm build, whose GPUs DJL does not see; libtorch itself will refuse a wrong
            // number.
            int count = engine.getGpuCount() == 0 ? 10 : engine.getGpuCount();
            if (index.length() > 4 || Integer.parseInt(index) >= count) {
                throw new IllegalArgumentException("Device " + name + " is not there: this machine shows "
                        + engine.getGpuCount() + " GPUs, counted from cuda:0");
            }
            return Device.gpu(Integer.parseInt(index));
        }
        throw new IllegalArgumentException("Unknown device '" + name + "': use auto, cpu or cuda:N");
    }

    /** {@code cpu} or {@code cuda:N}. */
    public String device() {
        return isGpu() ? "cuda:" + device.getDeviceId() : "cpu";
    }

    /** Whether the session computes on a GPU. */
    public boolean isGpu() {
        return device.isGpu();
    }

    /**
     * Whether products of bfloat16 matrices are faster than those of float32: on GPUs, and on CPUs with instructions for
     * them (AVX512-BF16 or AMX, and their kind on Arm), as far as the system tells.
     */
    public boolean hasFastBfloat16() {
        return isGpu() || BFLOAT16_FLAG.matcher(cpuFlags()).find();
    }

    /** Bytes of the GPU's memory that nobody uses; 0 on a CPU, or where the driver does not tell. */
    public long freeDeviceMemory() {
        if (!isGpu()) {
            return 0;
        }
        try {
            MemoryUsage memory = CudaUtils.getGpuMemory(device);
            return Math.max(0, memory.getMax() - memory.getCommitted());
        } catch (IllegalArgumentException | EngineException e) {
            return 0; // a ROCm build has no CUDA runtime to ask
        }
    }

    private static String cpuFlags() {
        try {
            return Files.readString(Path.of("/proc/cpuinfo"));
        } catch (IOException e) {
            return ""; // not Linux
        }
    }

    /** A fresh scope on the session's device. */
    public Scope scope() {
        return root.child();
    }

    long chunk() {
        return chunk;
    }

    Halves halves() {
        return halves;
    }

    PtNDManager hostManager() {
        return host;
    }

    Script script(String name) {
        return scripts.computeIfAbsent(name, Script::load);
    }

    @Override
    public void close() {
        halves.close();
        scripts.values().forEach(Script::close);
        root.close();
        host.close();
    }
}
