package io.gptq4j.checkpoint;

import io.gptq4j.internal.Messages;
import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Reads the pickle of a PyTorch state dict and executes nothing: an instruction that state dicts do not need, or a name
 * that is not on the list below, ends the reading. (A pickle is a program; Python's own reader would import and call
 * whatever it names.)
 *
 * <p>Instructions: Python's Lib/pickletools.py. Names and persistent ids: torch/_utils.py and torch/serialization.py.
 */
final class TorchPickle {
    /** About 25 instructions make one tensor, so this is far beyond every model, and bounds the memory of a bomb. */
    private static final int MOST_INSTRUCTIONS = 10_000_000;

    /** PyTorch's own limit; without it many tensors could share, and multiply, one endless shape. */
    private static final int MOST_DIMENSIONS = 64;

    private static final String ORDERED_DICT = "collections.OrderedDict";
    private static final String REBUILD_TENSOR_V2 = "torch._utils._rebuild_tensor_v2";
    private static final String REBUILD_TENSOR_V3 = "torch._utils._rebuild_tensor_v3";
    private static final String REBUILD_PARAMETER = "torch._utils._rebuild_parameter";

    private final String source;
    private final ByteBuffer in;
    private final Map<Integer, Object> memo = new HashMap<>();
    private final List<List<Object>> marked = new ArrayList<>();
    private List<Object> stack = new ArrayList<>();

    /** Python's None. */
    private enum None {
        NONE
    }

    private record Tuple(List<Object> items) {}

    /** A name that the file may mention; it is never anything more than this name. */
    private record Global(String name) {}

    /**
     * A storage: an entry of the archive with its element type.
     *
     * @param type name of torch's class, such as {@code HalfStorage}
     * @param key name of the archive's entry
     * @param count number of elements; of bytes in an {@code UntypedStorage}
     */
    record Storage(String type, String key, long count) {}

    /**
     * A view of a storage; nothing about it is checked yet.
     *
     * @param dtype torch's name of the type, or empty if the storage knows it
     * @param offset first element within the storage
     */
    record View(Storage storage, String dtype, long offset, List<Long> shape, List<Long> strides) {}

    private TorchPickle(String source, ByteBuffer pickle) {
        this.source = source;
        this.in = pickle.order(ByteOrder.LITTLE_ENDIAN);
    }

    /**
     * The tensors of a state dict by name, in the file's order.
     *
     * @throws CheckpointException if the pickle is anything else
     */
    static Map<String, View> read(String source, ByteBuffer pickle) throws CheckpointException {
        TorchPickle reader = new TorchPickle(source, pickle);
        try {
            return reader.stateDict(reader.run());
        } catch (BufferUnderflowException e) {
            throw reader.refuse("the pickle ends within an instruction");
        }
    }

    private Map<String, View> stateDict(Object result) throws CheckpointException {
        if (!(result instanceof Map<?, ?> dict)) {
            throw refuse("expected a state dict, found " + describe(result));
        }
        Map<String, View> tensors = new LinkedHashMap<>();
        for (Map.Entry<?, ?> entry : dict.entrySet()) {
            if (!(entry.getKey() instanceof String name) || !(entry.getValue() instanceof View view)) {
                throw refuse("expected a state dict of tensors only, but its key "
                        + Messages.quote(String.valueOf(entry.getKey())) + " holds " + describe(entry.getValue())
                        + "; if this is a training checkpoint, save the model's state_dict() alone");
            }
            tensors.put(name, view);
        }
        return tensors;
    }

    private Object run() throws CheckpointException {
        for (int count = 0; count < MOST_INSTRUCTIONS; count++) {
            int instruction = Byte.toUnsignedInt(in.get());
            switch (instruction) {
                case 0x80 -> { // PROTO
                    int protocol = Byte.toUnsignedInt(in.get());
                    if (protocol < 2 || protocol > 5) {
                        throw refuse("pickle protocol " + protocol + " is not supported, expected 2 to 5");
                    }
                }
                case 0x95 -> in.getLong(); // FRAME, a hint for buffering
                case '.' -> { // STOP
                    return pop();
                }
                case '(' -> { // MARK
                    marked.add(stack);
                    stack = new ArrayList<>();
                }
                case 'N' -> push(None.NONE);
                case 0x88 -> push(true);
                case 0x89 -> push(false);
                case 'K' -> push((long) Byte.toUnsignedInt(in.get())); // BININT1
                case 'M' -> push((long) Short.toUnsignedInt(in.getShort())); // BININT2
                case 'J' -> push((long) in.getInt()); // BININT
                case 0x8a -> push(longInteger(Byte.toUnsignedInt(in.get()))); // LONG1
                case 'G' -> { // BINFLOAT, big-endian
                    push(Double.longBitsToDouble(Long.reverseBytes(in.getLong())));
                }
                case 0x8c -> push(text(Byte.toUnsignedInt(in.get()))); // SHORT_BINUNICODE
                case 'X' -> push(text(Integer.toUnsignedLong(in.getInt()))); // BINUNICODE
                case 0x8d -> push(text(in.getLong())); // BINUNICODE8
                case '}' -> push(new LinkedHashMap<>()); // EMPTY_DICT
                case ']' -> push(new ArrayList<>()); // EMPTY_LIST
                case ')' -> push(new Tuple(List.of())); // EMPTY_TUPLE
                case 't' -> push(new Tuple(popMarked(true))); // TUPLE
                case 0x85 -> tuple(1);
                case 0x86 -> tuple(2);
                case 0x87 -> tuple(3);
                case 's' -> { // SETITEM
                    Object value = pop();
                    Object key = pop();
                    setItem(key, value);
                }
                case 'u' -> { // SETITEMS
                    List<Object> items = popMarked(false);
                    if (items.size() % 2 != 0) {
                        throw refuse("SETITEMS without a value for its last key");
                    }
                    for (int i = 0; i < items.size(); i += 2) {
                        setItem(items.get(i), items.get(i + 1));
                    }
                }
                case 'a' -> append(List.of(pop())); // APPEND
                case 'e' -> append(popMarked(false)); // APPENDS
                case 'q' -> memo.put(Byte.toUnsignedInt(in.get()), peek()); // BINPUT
                case 'r' -> memo.put(in.getInt(), peek()); // LONG_BINPUT
                case 0x94 -> memo.put(memo.size(), peek()); // MEMOIZE
                case 'h' -> push(recall(Byte.toUnsignedInt(in.get()))); // BINGET
                case 'j' -> push(recall(in.getInt())); // LONG_BINGET
                case 'c' -> push(global(line(), line())); // GLOBAL
                case 0x93 -> { // STACK_GLOBAL
                    String name = cast(String.class, pop(), "a name");
                    push(global(cast(String.class, pop(), "a module"), name));
                }
                case 'Q' -> push(storage(pop())); // BINPERSID
                case 'R' -> { // REDUCE
                    List<Object> arguments =
                            cast(Tuple.class, pop(), "arguments").items();
                    push(call(cast(Global.class, pop(), "a global").name(), arguments));
                }
                case 'b' -> { // BUILD: attributes of a dict, such as a state dict's _metadata; of no use here
                    pop();
                    cast(Map.class, peek(), "a dict to set attributes of");
                }
                default -> throw refuse(String.format("pickle instruction 0x%02x is not allowed", instruction));
            }
        }
        throw refuse("more than " + MOST_INSTRUCTIONS + " pickle instructions");
    }

    private Storage storage(Object id) throws CheckpointException {
        List<Object> parts = cast(Tuple.class, id, "a persistent id").items();
        if (parts.size() != 5
                || !parts.get(0).equals("storage")
                || !(parts.get(1) instanceof Global type)
                || !(parts.get(2) instanceof String key)
                || !(parts.get(4) instanceof Long count)
                || !type.name().endsWith("Storage")) {
            throw refuse("a persistent id that is not ('storage', type, key, location, count)");
        }
        return new Storage(type.name().substring(type.name().lastIndexOf('.') + 1), key, count);
    }

    private Global global(String module, String name) throws CheckpointException {
        String full = module + "." + name;
        boolean allowed = switch (full) {
            case ORDERED_DICT, REBUILD_TENSOR_V2, REBUILD_TENSOR_V3, REBUILD_PARAMETER -> true;
            case "torch.storage.UntypedStorage" -> true;
            default -> module.equals("torch") && TorchTypes.isKnown(name);
        };
        if (!allowed) {
            throw refuse("the pickle refers to " + Messages.quote(full)
                    + ", which a state dict of tensors does not need and which is never executed here");
        }
        return new Global(full);
    }

    private Object call(String function, List<Object> arguments) throws CheckpointException {
        switch (function) {
            case ORDERED_DICT -> {
                if (arguments.isEmpty()) {
                    return new LinkedHashMap<>();
                }
            }
            case REBUILD_PARAMETER -> { // data, requires_grad, hooks
                if (arguments.size() == 3 && arguments.get(0) instanceof View view) {
                    return view;
                }
            }
            case REBUILD_TENSOR_V2 -> { // storage, offset, size, stride, requires_grad, hooks[, metadata]
                if (arguments.size() == 6 || arguments.size() == 7) {
                    return view(arguments, "");
                }
            }
            case REBUILD_TENSOR_V3 -> { // storage, offset, size, stride, requires_grad, hooks, dtype[, metadata]
                if ((arguments.size() == 7 || arguments.size() == 8) && arguments.get(6) instanceof Global dtype) {
                    return view(arguments, dtype.name().substring(dtype.name().lastIndexOf('.') + 1));
                }
            }
            default -> throw refuse(Messages.quote(function) + " is called, which is not allowed");
        }
        throw refuse(Messages.quote(function) + " is called with arguments that torch.save does not write");
    }

    private View view(List<Object> arguments, String dtype) throws CheckpointException {
        return new View(
                cast(Storage.class, arguments.get(0), "a tensor's storage"),
                dtype,
                cast(Long.class, arguments.get(1), "a tensor's offset"),
                integers(arguments.get(2), "a tensor's shape"),
                integers(arguments.get(3), "a tensor's strides"));
    }

    private List<Long> integers(Object value, String what) throws CheckpointException {
        List<Object> items = cast(Tuple.class, value, what).items();
        if (items.size() > MOST_DIMENSIONS) {
            throw refuse(what + " of " + items.size() + " dimensions, PyTorch allows " + MOST_DIMENSIONS);
        }
        List<Long> integers = new ArrayList<>();
        for (Object item : items) {
            integers.add(cast(Long.class, item, what));
        }
        return integers;
    }

    /** Keys are strings or integers: others could be cyclic, and hashing those would not end. */
    private void setItem(Object key, Object value) throws CheckpointException {
        if (!(key instanceof String) && !(key instanceof Long)) {
            throw refuse("a dict key must be a string or an integer, found " + describe(key));
        }
        @SuppressWarnings("unchecked") // all maps are made here
        Map<Object, Object> dict = cast(Map.class, peek(), "a dict");
        dict.put(key, value);
    }

    private void append(List<Object> items) throws CheckpointException {
        @SuppressWarnings("unchecked") // all lists are made here
        List<Object> list = cast(List.class, peek(), "a list");
        list.addAll(items);
    }

    private void tuple(int size) throws CheckpointException {
        if (stack.size() < size) {
            throw refuse("a tuple of more values than there are");
        }
        List<Object> top = stack.subList(stack.size() - size, stack.size());
        Tuple tuple = new Tuple(List.copyOf(top));
        top.clear();
        push(tuple);
    }

    private List<Object> popMarked(boolean copy) throws CheckpointException {
        if (marked.isEmpty()) {
            throw refuse("a collection that was never begun");
        }
        List<Object> items = copy ? List.copyOf(stack) : stack;
        stack = marked.remove(marked.size() - 1);
        return items;
    }

    /** A method, because the argument may change {@link #stack} itself. */
    private void push(Object value) {
        stack.add(value);
    }

    private Object pop() throws CheckpointException {
        Object top = peek();
        stack.remove(stack.size() - 1);
        return top;
    }

    private Object peek() throws CheckpointException {
        if (stack.isEmpty()) {
            throw refuse("the pickle takes a value where there is none");
        }
        return stack.get(stack.size() - 1);
    }

    private Object recall(int index) throws CheckpointException {
        Object value = memo.get(index);
        if (value == null) {
            throw refuse("the pickle recalls value " + Integer.toUnsignedLong(index) + ", which it never stored");
        }
        return value;
    }

    /** Little-endian two's complement of up to 8 bytes. */
    private long longInteger(int length) throws CheckpointException {
        if (length > Long.BYTES) {
            throw refuse("an integer of " + length + " bytes, more than any size or offset needs");
        }
        long value = 0;
        for (int i = 0; i < length; i++) {
            byte next = in.get();
            long digit = i == length - 1 ? next : Byte.toUnsignedInt(next); // the last one has the sign
            value |= digit << (8 * i);
        }
        return value;
    }

    private String text(long length) throws CheckpointException {
        if (length < 0 || length > in.remaining()) {
            throw refuse(
                    "a string of " + Long.toUnsignedString(length) + " bytes where " + in.remaining() + " are left");
        }
        ByteBuffer bytes = in.slice(in.position(), (int) length);
        in.position(in.position() + (int) length);
        try {
            return StandardCharsets.UTF_8.newDecoder().decode(bytes).toString();
        } catch (CharacterCodingException e) {
            throw refuse("a string that is not valid UTF-8");
        }
    }

    private String line() throws CheckpointException {
        StringBuilder line = new StringBuilder();
        for (byte next = in.get(); next != '\n'; next = in.get()) {
            if (line.length() == 1000) {
                throw refuse("a global name without end");
            }
            line.append((char) Byte.toUnsignedInt(next));
        }
        return line.toString();
    }

    private <T> T cast(Class<T> type, Object value, String what) throws CheckpointException {
        if (!type.isInstance(value)) {
            throw refuse("expected " + what + ", found " + describe(value));
        }
        return type.cast(value);
    }

    private static String describe(Object value) {
        if (value instanceof Map) {
            return "a dict";
        } else if (value instanceof List) {
            return "a list";
        } else if (value instanceof Tuple) {
            return "a tuple";
        } else if (value instanceof View) {
            return "a tensor";
        } else if (value instanceof Storage) {
            return "a storage";
        } else if (value instanceof Global global) {
            return Messages.quote(global.name());
        } else if (value instanceof String text) {
            return "the string " + Messages.quote(text);
        }
        return value == None.NONE ? "None" : "the value " + value;
    }

    private CheckpointException refuse(String what) {
        return new CheckpointException(source + ", data.pkl, byte " + in.position() + ": " + what);
    }
}
