package io.gptq4j.tensor;

import ai.djl.engine.EngineException;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.pytorch.engine.PtNDArray;
import ai.djl.pytorch.engine.PtNDManager;
import ai.djl.pytorch.jni.IValue;
import ai.djl.pytorch.jni.IValueUtils;
import ai.djl.pytorch.jni.JniUtils;
import io.gptq4j.safetensors.DType;
import io.gptq4j.safetensors.ScaledFloats;
import io.gptq4j.safetensors.TensorInfo;
import io.gptq4j.safetensors.TensorSource;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CancellationException;
import java.util.function.Supplier;

/**
 * Owns tensors: closing a scope frees every tensor made in it and not moved elsewhere, and all its child scopes. One
 * scope per block, and a child per step inside, bounds the memory of a run. Not thread-safe, but children of one scope may be made
 * and used by the threads of {@link Halves}.
 */
public final class Scope implements AutoCloseable {
    private final Torch torch;
    private final PtNDManager manager;

    Scope(Torch torch, PtNDManager manager) {
        this.torch = torch;
        this.manager = manager;
    }

    /** Bytes moved at a time. */
    long chunk() {
        return torch.chunk();
    }

    PtNDManager manager() {
        return manager;
    }

    /** The device in torch's words: {@code cpu} or {@code cuda:N}. */
    String device() {
        return torch.device();
    }

    /** Whether its tensors are on a GPU. */
    public boolean isGpu() {
        return torch.isGpu();
    }

    /** Those of the session; each has a scope of its own for what it does. */
    public Halves halves() {
        return torch.halves();
    }

    /** How many of libtorch's threads compute for the calling thread, itself included; 1 on a GPU. */
    public int threads() {
        return isGpu() ? 1 : JniUtils.getNumThreads();
    }

    /** Whether the calling thread has some of libtorch's threads beside itself. */
    public boolean hasThreads() {
        return threads() > 1;
    }

    /** A scope inside this one, on the same device. */
    public Scope child() {
        return new Scope(torch, (PtNDManager) manager.newSubManager());
    }

    /** A float32 tensor with these elements, row-major. */
    public Tensor floats(float[] values, long... shape) {
        return allocate(() -> manager.create(values, new Shape(shape)));
    }

    /** An int64 tensor with these elements, row-major. */
    public Tensor longs(long[] values, long... shape) {
        return allocate(() -> manager.create(values, new Shape(shape)));
    }

    /** A float32 tensor of zeros. */
    public Tensor zeros(long... shape) {
        return allocate(() -> manager.zeros(new Shape(shape), DataType.FLOAT32));
    }

    /** A two-dimensional uint8 tensor with these rows, all of the same length. */
    public Tensor byteRows(byte[][] rows) {
        long columns = rows[0].length;
        Tensor flat = hostBytes(rows.length * columns, (offset, target) -> {
            int row = (int) (offset / columns);
            int column = (int) (offset % columns);
            while (target.hasRemaining()) {
                int count = (int) Math.min(columns - column, target.remaining());
                target.put(rows[row++], column, count);
                column = 0;
            }
        });
        try (flat;
                Scope step = child()) {
            return call("tensors", "reshaped", flat.copyTo(step), new long[] {rows.length, columns});
        }
    }

    /**
     * Reads a tensor of a checkpoint in its own shape and converts it on the device.
     *
     * @param source where the bytes are
     * @param info the tensor, of a floating dtype
     * @param type the type wanted
     * @throws IOException if the bytes cannot be read
     */
    public Tensor load(TensorSource source, TensorInfo info, FloatType type) throws IOException {
        try (RawTensor raw = read(source, info)) {
            return decode(raw, type);
        }
    }

    /**
     * Reads the bytes of a tensor into host memory, 8-bit floats as such. The one method that may be called from another thread
     * than the rest, so that a thread can read ahead; its result belongs to no scope.
     *
     * @param info the tensor, of a floating dtype
     * @throws IOException if the bytes cannot be read
     */
    public RawTensor read(TensorSource source, TensorInfo info) throws IOException {
        int type = torchCode(info.dtype());
        ScaledFloats scaled = source.scaled(info.name()).orElse(null);
        Tensor bytes = scaled != null
                ? hostBytes(info.elements(), scaled.codes()::read)
                : hostBytes(info.byteLength(), (offset, target) -> source.read(info.name(), offset, target));
        return new RawTensor(bytes, type, scaled, info.shape());
    }

    /** Converts what was {@linkplain #read read}, on the device; {@code raw} stays as it is. */
    public Tensor decode(RawTensor raw, FloatType type) {
        try (Tensor placed = raw.bytes().copyTo(this)) {
            ScaledFloats scaled = raw.scaled();
            if (scaled == null) {
                return call("tensors", "decode_as", placed, raw.torchCode(), type, raw.shape());
            }
            long[] matrices = {-1, scaled.rows(), scaled.columns()};
            long[] block = {scaled.blockRows(), scaled.blockColumns()};
            try (Tensor scales = floats(scaled.scales(), scaled.scales().length)) {
                return call("tensors", "decode_scaled", placed, scales, matrices, block, type, raw.shape());
            }
        }
    }

    /** Calls a script method that returns one tensor, which this scope owns. */
    public Tensor call(String script, String method, Object... arguments) {
        try (IValue result = run(script, method, arguments)) {
            return new Tensor(result.toTensor(manager));
        }
    }

    /** Calls a script method that returns a tuple of tensors, which this scope owns. */
    public List<Tensor> callAll(String script, String method, Object... arguments) {
        try (IValue result = run(script, method, arguments)) {
            List<Tensor> tensors = new ArrayList<>();
            for (IValue element : result.toIValueTuple()) {
                try (element) {
                    tensors.add(new Tensor(element.toTensor(manager)));
                }
            }
            return tensors;
        }
    }

    private IValue run(String script, String method, Object... arguments) {
        if (Thread.currentThread().isInterrupted()) {
            throw new CancellationException("Interrupted.");
        }
        IValue[] values = new IValue[arguments.length];
        try {
            for (int i = 0; i < values.length; i++) {
                values[i] = value(arguments[i]);
            }
            return IValueUtils.runMethod(torch.script(script).block(), method, values);
        } catch (EngineException e) {
            throw TorchException.of(e);
        } finally {
            for (IValue value : values) {
                if (value != null) {
                    value.close();
                }
            }
        }
    }

    private static IValue value(Object argument) {
        if (argument instanceof Tensor tensor) {
            return IValue.from(tensor.array());
        } else if (argument instanceof FloatType type) {
            return IValue.from(type.torchCode());
        } else if (argument instanceof Integer number) {
            return IValue.from(number.longValue());
        } else if (argument instanceof Long number) {
            return IValue.from(number);
        } else if (argument instanceof Double number) {
            return IValue.from(number);
        } else if (argument instanceof Boolean truth) {
            return IValue.from(truth);
        } else if (argument instanceof String text) {
            return IValue.from(text);
        } else if (argument instanceof long[] numbers) {
            return IValue.listFrom(numbers);
        } else if (argument instanceof double[] numbers) {
            return IValue.listFrom(numbers);
        } else if (argument instanceof List<?> tensors) {
            return IValue.listFrom(
                    tensors.stream().map(t -> ((Tensor) t).array()).toArray(PtNDArray[]::new));
        }
        throw new IllegalArgumentException("A script cannot take a " + argument.getClass());
    }

    /** A uint8 tensor of {@code length} bytes in host memory, of no scope, that {@code filler} writes piece by piece. */
    <E extends Exception> Tensor hostBytes(long length, Filler<E> filler) throws E {
        Tensor host = allocate(() -> torch.hostManager().create(new Shape(length), DataType.UINT8));
        boolean filled = false;
        try {
            host.forEachPart(torch.chunk(), filler);
            filled = true;
            return host;
        } finally {
            if (!filled) {
                host.close();
            }
        }
    }

    /** Takes or gives the bytes from {@code offset} on that a buffer over a part of a tensor has room for. */
    interface Filler<E extends Exception> {
        void fill(long offset, ByteBuffer target) throws E;
    }

    private static Tensor allocate(Supplier<NDArray> allocation) {
        try {
            return new Tensor((PtNDArray) allocation.get());
        } catch (EngineException e) {
            throw TorchException.of(e);
        }
    }

    private static int torchCode(DType dtype) {
        return switch (dtype) {
            case F16 -> 5;
            case F32 -> 6;
            case F64 -> 7;
            case BF16 -> 15;
            default -> throw new IllegalArgumentException("Not a floating dtype of weights: " + dtype);
        };
    }

    @Override
    public void close() {
        manager.close();
    }
}
