package io.gptq4j.cli;

import io.gptq4j.gptq.Fallback;
import io.gptq4j.gptq.ModuleReport;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;

/**
 * What a run had to do instead of what was asked for, module by module.
 *
 * @param rows one for each fallback, in the order of the solves
 * @param modules how many modules there were in all
 */
record FallbackReport(List<Row> rows, int modules) {
    /**
     * One fallback of one module.
     *
     * @param block the block's number, from 0
     * @param module the module's path
     * @param tokens calibration tokens that came to it
     * @param cause what was the matter
     * @param remedy what held
     * @param amount how much of it
     */
    record Row(int block, String module, long tokens, Fallback.Cause cause, Fallback.Remedy remedy, double amount) {
        Row(ModuleReport module, Fallback fallback) {
            this(
                    module.block(),
                    module.module(),
                    module.tokens(),
                    fallback.cause(),
                    fallback.remedy(),
                    fallback.amount());
        }
    }

    /** Of the reports of all modules. */
    static FallbackReport of(List<ModuleReport> modules) {
        return new FallbackReport(
                modules.stream()
                        .flatMap(module -> module.fallbacks().stream().map(fallback -> new Row(module, fallback)))
                        .toList(),
                modules.size());
    }

    /** The rows for a reader. */
    String table() {
        Table table = new Table("block>", "module", "tokens>", "what failed", "what held");
        for (Row row : rows) {
            table.row(
                    String.valueOf(row.block),
                    row.module,
                    String.valueOf(row.tokens),
                    row.cause.toString(),
                    row.remedy.text(row.amount));
        }
        return table.toString();
    }

    /** One sentence: a warning if there is something to mend, a note if all of it is ordinary. */
    void tell(Console console) {
        Map<String, Long> counts = rows.stream()
                .collect(Collectors.groupingBy(row -> row.cause.toString(), LinkedHashMap::new, Collectors.counting()));
        if (counts.isEmpty()) {
            return;
        }
        String sentence = String.format(
                "Fallbacks in %d of %s: %s. Each is a row of the report; docs/quantize.md says what they mean.",
                rows.stream().map(Row::module).distinct().count(),
                Sizes.count(modules, "module"),
                counts.entrySet().stream()
                        .map(count -> count.getKey() + " (" + count.getValue() + ")")
                        .collect(Collectors.joining(", ")));
        if (rows.stream().allMatch(row -> row.cause.isOrdinary())) {
            console.note(sentence);
        } else {
            console.warn(sentence);
        }
    }
}
