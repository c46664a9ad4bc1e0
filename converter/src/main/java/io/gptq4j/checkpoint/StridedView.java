package io.gptq4j.checkpoint;

import io.gptq4j.internal.FileChannels;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * A tensor as PyTorch sees it: a storage in a file, the first element, and one stride per dimension, in elements. Reads
 * as row-major bytes whatever the strides are: transposed and expanded views are gathered.
 *
 * <p>Immutable and safe for concurrent use. The caller has checked that the view stays within its storage.
 */
final class StridedView {
    /**
     * Pages of the file that one gathering read keeps, at most 64 MiB. A row of a transposed matrix touches one page per
     * column; with these numbers the pages of a row of 16384 columns serve the 1024 or more rows that follow.
     */
    private static final int PAGE = 4096;

    private static final int MOST_PAGES = 16384;

    private final long position;
    private final long firstElement;
    private final int elementSize;
    private final long[] shape;
    private final long[] strides;
    private final long elements;
    private final boolean contiguous;

    StridedView(long position, long firstElement, int elementSize, List<Long> shape, List<Long> strides) {
        this.position = position;
        this.firstElement = firstElement;
        this.elementSize = elementSize;
        this.shape = shape.stream().mapToLong(Long::longValue).toArray();
        this.strides = strides.stream().mapToLong(Long::longValue).toArray();
        long expected = 1;
        boolean rowMajor = true;
        for (int i = this.shape.length - 1; i >= 0; i--) {
            rowMajor &= this.shape[i] == 1 || this.strides[i] == expected;
            expected = Math.multiplyExact(expected, this.shape[i]);
        }
        this.elements = expected;
        this.contiguous = rowMajor;
    }

    long byteLength() {
        return elements * elementSize;
    }

    /** The element after the last one that the view touches, counted from the storage's start; not for empty views. */
    long endElement() {
        long last = firstElement;
        for (int i = 0; i < shape.length; i++) {
            last = Math.addExact(last, Math.multiplyExact(shape[i] - 1, strides[i]));
        }
        return Math.addExact(last, 1);
    }

    /** Fills {@code target} from byte {@code offset} of the row-major tensor on. */
    void read(FileChannel channel, long offset, ByteBuffer target) throws IOException {
        if (contiguous) {
            FileChannels.readFully(channel, position + firstElement * elementSize + offset, target);
        } else if (target.hasRemaining()) {
            gather(channel, offset, target);
        }
    }

    private void gather(FileChannel channel, long offset, ByteBuffer target) throws IOException {
        Pages pages = new Pages(channel, position, Math.multiplyExact(endElement(), elementSize));
        long[] index = new long[shape.length];
        long rest = offset / elementSize;
        long element = firstElement;
        for (int i = shape.length - 1; i >= 0; i--) {
            index[i] = rest % shape[i];
            rest /= shape[i];
            element += index[i] * strides[i];
        }
        int skip = (int) (offset % elementSize);
        while (true) {
            int count = Math.min(elementSize - skip, target.remaining());
            pages.copy(element * elementSize + skip, count, target);
            skip = 0;
            if (!target.hasRemaining()) {
                return;
            }
            int i = shape.length - 1;
            while (index[i] == shape[i] - 1) {
                element -= index[i] * strides[i];
                index[i] = 0;
                i--;
            }
            index[i]++;
            element += strides[i];
        }
    }

    /** The most recently used pages of a storage. */
    private static final class Pages {
        private final FileChannel channel;
        private final long start;
        private final long length;
        private final Map<Long, byte[]> recent = new LinkedHashMap<>(16, 0.75f, true) {
            private static final long serialVersionUID = 1L;

            @Override
            protected boolean removeEldestEntry(Map.Entry<Long, byte[]> eldest) {
                return size() > MOST_PAGES;
            }
        };

        Pages(FileChannel channel, long start, long length) {
            this.channel = channel;
            this.start = start;
            this.length = length;
        }

        /** Pages begin at multiples of their size within the storage, so no element lies in two of them. */
        void copy(long from, int count, ByteBuffer target) throws IOException {
            long number = from / PAGE;
            byte[] page = recent.get(number);
            if (page == null) {
                page = new byte[(int) Math.min(PAGE, length - number * PAGE)];
                FileChannels.readFully(channel, start + number * PAGE, ByteBuffer.wrap(page));
                recent.put(number, page);
            }
            target.put(page, (int) (from % PAGE), count);
        }
    }
}
