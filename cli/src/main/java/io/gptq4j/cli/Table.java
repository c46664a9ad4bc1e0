package io.gptq4j.cli;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;

/** A table for a reader: headers, a line below them, columns as wide as their widest cell. */
final class Table {
    private final List<String> headers;
    private final List<List<String>> rows = new ArrayList<>();

    /** With the headers of the columns; one that ends in {@code >} stands, like its cells, to the right. */
    Table(String... headers) {
        this.headers = Arrays.asList(headers);
    }

    /** Adds a row with a cell for each column. */
    void row(String... cells) {
        rows.add(Arrays.stream(cells).map(Console::printable).toList());
    }

    /** The lines, without an end of the last. */
    @Override
    public String toString() {
        List<List<String>> lines = new ArrayList<>();
        lines.add(headers.stream().map(header -> header.replaceFirst(">$", "")).toList());
        lines.addAll(rows);
        int[] widths = IntStream.range(0, headers.size())
                .map(column -> lines.stream()
                        .mapToInt(line -> line.get(column).length())
                        .max()
                        .orElse(0))
                .toArray();
        lines.add(1, Arrays.stream(widths).mapToObj("-"::repeat).toList());
        StringBuilder text = new StringBuilder();
        for (List<String> line : lines) {
            StringBuilder cells = new StringBuilder();
            for (int column = 0; column < widths.length; column++) {
                String cell = line.get(column);
                String space = " ".repeat(widths[column] - cell.length());
                cells.append(headers.get(column).endsWith(">") ? space + cell : cell + space)
                        .append(' ');
            }
            text.append(cells.toString().stripTrailing()).append(System.lineSeparator());
        }
        return text.toString().stripTrailing();
    }
}
