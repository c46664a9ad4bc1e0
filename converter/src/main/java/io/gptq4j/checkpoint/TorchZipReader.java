package io.gptq4j.checkpoint;

import io.gptq4j.internal.Closing;
import io.gptq4j.internal.FileChannels;
import io.gptq4j.internal.Messages;
import io.gptq4j.safetensors.DType;
import io.gptq4j.safetensors.TensorInfo;
import io.gptq4j.safetensors.TensorSource;
import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * A state dict as {@code torch.save} writes it since PyTorch 1.6: a zip archive of a pickle, {@code NAME/data.pkl}, and
 * one uncompressed entry per storage, {@code NAME/data/KEY}. Nothing of the pickle is executed, and tensors are read in
 * place. Safe for concurrent use.
 */
final class TorchZipReader implements TensorSource {
    private static final int LARGEST_PICKLE = 256 << 20;

    private final Path file;
    private final FileChannel channel;
    private final Map<String, TensorInfo> tensors = new TreeMap<>();
    private final Map<String, StridedView> views = new HashMap<>();

    private TorchZipReader(Path file, FileChannel channel) {
        this.file = file;
        this.channel = channel;
    }

    /**
     * Opens a file and finds all its tensors.
     *
     * @throws CheckpointException if it is not a zip of torch.save, or its pickle is anything but a state dict
     */
    static TorchZipReader open(Path file) throws IOException {
        TorchZipReader reader = new TorchZipReader(file, FileChannel.open(file, StandardOpenOption.READ));
        try {
            reader.load();
            return reader;
        } catch (IOException | RuntimeException e) {
            Closing.after(e, reader);
            throw e;
        }
    }

    @Override
    public Map<String, TensorInfo> tensors() {
        return Collections.unmodifiableMap(tensors);
    }

    @Override
    public void read(String name, long offset, ByteBuffer target) throws IOException {
        StridedView view = view(name);
        if (offset < 0 || offset > view.byteLength() - target.remaining()) {
            throw new IllegalArgumentException("Bytes " + offset + " to " + (offset + target.remaining()) + " leave "
                    + Messages.quote(name) + " of " + view.byteLength() + " bytes in " + file);
        }
        try {
            view.read(channel, offset, target);
        } catch (EOFException e) {
            throw new CheckpointException(
                    file + " has shrunk since it was opened and ends within tensor " + Messages.quote(name), e);
        }
    }

    @Override
    public String location(String name) {
        view(name);
        return file.toString();
    }

    @Override
    public void close() throws IOException {
        channel.close();
    }

    private StridedView view(String name) {
        StridedView view = views.get(name);
        if (view == null) {
            throw new IllegalArgumentException("There is no tensor " + Messages.quote(name) + " in " + file);
        }
        return view;
    }

    private void load() throws IOException {
        requireZip();
        StoredZip zip = new StoredZip(file.toString(), channel);
        String root = zip.names().stream()
                .filter(name -> name.endsWith("/data.pkl") && name.indexOf('/') == name.lastIndexOf('/'))
                .map(name -> name.substring(0, name.indexOf('/') + 1))
                .sorted()
                .findFirst()
                .orElseThrow(() -> new CheckpointException(
                        file + " is a zip archive without a data.pkl, so torch.save did not write it"));
        if (zip.names().contains(root + "constants.pkl")) {
            throw new CheckpointException(file + " is a TorchScript program, expected a state dict: save the model's"
                    + " state_dict() with torch.save or as safetensors");
        }
        if (zip.names().contains(root + "byteorder")
                && text(zip.locate(root + "byteorder")).equals("big")) {
            throw new CheckpointException(file + " was written on a big-endian machine, which is not supported:"
                    + " save it as safetensors there");
        }
        StoredZip.Extent pickle = zip.locate(root + "data.pkl");
        if (pickle.size() > LARGEST_PICKLE) {
            throw new CheckpointException(file + ": data.pkl has " + pickle.size() + " bytes, more than the "
                    + LARGEST_PICKLE + " that any model needs");
        }
        Map<String, StoredZip.Extent> storages = new HashMap<>();
        for (Map.Entry<String, TorchPickle.View> entry :
                TorchPickle.read(file.toString(), bytes(pickle)).entrySet()) {
            TorchPickle.View view = entry.getValue();
            String key = root + "data/" + view.storage().key();
            StoredZip.Extent extent = storages.get(key);
            if (extent == null) {
                extent = zip.locate(key);
                storages.put(key, extent);
            }
            add(entry.getKey(), view, extent);
        }
    }

    private void add(String name, TorchPickle.View view, StoredZip.Extent storage) throws CheckpointException {
        DType dtype = dtype(name, view);
        List<Long> shape = view.shape();
        List<Long> strides = view.strides();
        if (shape.size() != strides.size()
                || view.offset() < 0
                || view.storage().count() < 0
                || shape.stream().anyMatch(n -> n < 0)
                || strides.stream().anyMatch(n -> n < 0)) {
            throw refuse(
                    name,
                    "of shape " + shape + " and strides " + strides + " at offset " + view.offset()
                            + " is not possible");
        }
        int elementSize = dtype.bits() / Byte.SIZE;
        try {
            TensorInfo info = new TensorInfo(name, dtype, shape);
            long declared = view.storage().type().equals(TorchTypes.UNTYPED_STORAGE)
                    ? view.storage().count()
                    : Math.multiplyExact(view.storage().count(), elementSize);
            if (declared > storage.size()) {
                throw refuse(
                        name,
                        "lies in storage " + Messages.quote(view.storage().key()) + " of " + declared
                                + " bytes, but its zip entry has only " + storage.size());
            }
            StridedView strided = new StridedView(storage.position(), view.offset(), elementSize, shape, strides);
            if (info.elements() > 0 && Math.multiplyExact(strided.endElement(), elementSize) > declared) {
                throw refuse(
                        name,
                        "of shape " + shape + " and strides " + strides + " at offset " + view.offset()
                                + " reaches beyond its storage of " + declared + " bytes");
            }
            tensors.put(name, info);
            views.put(name, strided);
        } catch (ArithmeticException e) {
            throw refuse(name, "of shape " + shape + " and strides " + strides + " is too large to exist");
        }
    }

    private DType dtype(String name, TorchPickle.View view) throws CheckpointException {
        return (view.dtype().isEmpty() ? TorchTypes.ofStorage(view.storage().type()) : TorchTypes.ofDtype(view.dtype()))
                .orElseThrow(() -> refuse(
                        name,
                        "has no element type that can be read: storage "
                                + Messages.quote(view.storage().type()) + ", dtype " + Messages.quote(view.dtype())));
    }

    private CheckpointException refuse(String name, String what) {
        return new CheckpointException(file + ": tensor " + Messages.quote(name) + " " + what);
    }

    private void requireZip() throws IOException {
        ByteBuffer first = ByteBuffer.allocate((int) Math.min(channel.size(), 16));
        FileChannels.readFully(channel, 0, first);
        String start = new String(first.array(), StandardCharsets.ISO_8859_1);
        if (start.startsWith("PK\3\4")) {
            return;
        }
        String advice;
        if (start.startsWith("version ")) {
            advice = " is a Git LFS pointer, not the file itself: fetch the file";
        } else if (start.startsWith("\u0080")) {
            advice = " is in PyTorch's format of before 1.6, which is not supported: convert it once with"
                    + " AutoModelForCausalLM.from_pretrained(dir).save_pretrained(dir, safe_serialization=True)"
                    + " of Python's transformers";
        } else {
            advice = " is not a zip archive of torch.save";
        }
        throw new CheckpointException(file + advice);
    }

    private String text(StoredZip.Extent extent) throws IOException {
        if (extent.size() > 64) {
            throw new CheckpointException(file + ": its entry 'byteorder' has " + extent.size() + " bytes");
        }
        return StandardCharsets.US_ASCII.decode(bytes(extent)).toString().strip();
    }

    private ByteBuffer bytes(StoredZip.Extent extent) throws IOException {
        ByteBuffer buffer = ByteBuffer.allocate(Math.toIntExact(extent.size()));
        FileChannels.readFully(channel, extent.position(), buffer);
        return buffer.flip();
    }
}
