package io.gptq4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class TableTest {
    @Test
    void columnsAreAsWideAsTheirWidestCellAndNumbersStandToTheRight() {
        Table table = new Table("ID", "SIZE>", "REFS");
        table.row("model/gpt2", "4.0M", "main");
        table.row("a", "2.0", "");
        assertThat(table.toString().lines())
                .containsExactly(
                        "ID         SIZE REFS", "---------- ---- ----", "model/gpt2 4.0M main", "a           2.0");
    }

    @Test
    void controlCharactersDoNotReachTheTerminal() {
        Table table = new Table("ID");
        table.row("a\u001b[2Jb");
        assertThat(table.toString()).contains("a?[2Jb");
    }
}
