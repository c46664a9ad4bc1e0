package io.gptq4j.cli;

import java.util.LinkedHashMap;
import java.util.Map;

/** Every way {@code gptq4j} can end. The numbers are an interface. */
enum ExitCode {
    OK(0, "success"),
    UNEXPECTED(1, "unexpected error"),
    USAGE(2, "wrong command, option or option value"),
    NOT_FOUND(3, "a file or directory to read, or a repository, revision or file on the Hub, does not exist"),
    ACCESS_DENIED(4, "the Hub refuses access: token missing or refused, repository gated or disabled"),
    NETWORK(5, "the Hub could not be reached, failed or limits the rate, or offline mode is on"),
    BAD_INPUT(6, "corrupt or unsupported checkpoint, input file or download"),
    VERIFICATION_FAILED(7, "the written model does not read back as it was computed"),
    OUTPUT_EXISTS(8, "the output exists already; nothing was changed"),
    IO_ERROR(9, "reading or writing failed: no space, no permission, device error"),
    OUT_OF_MEMORY(10, "not enough memory on the host or the device"),
    TOO_MUCH_WORSE(11, "the quantized model is worse than --max-ppl-increase allows; nothing was written or pushed"),
    INTERRUPTED(130, "interrupted");

    private final int number;
    private final String meaning;

    ExitCode(int number, String meaning) {
        this.number = number;
        this.meaning = meaning;
    }

    /** The number the process ends with. */
    int number() {
        return number;
    }

    /** The number a command ends with that {@code hf} has, too: there every error is the same. */
    int numberInHf() {
        return switch (this) {
            case OK, INTERRUPTED -> number;
            default -> UNEXPECTED.number;
        };
    }

    /** What it means, for the help texts. */
    String meaning() {
        return meaning;
    }

    /** The table in the form picocli prints under each command's help. */
    static Map<String, String> helpTable() {
        Map<String, String> table = new LinkedHashMap<>();
        for (ExitCode code : values()) {
            table.put(String.valueOf(code.number), code.meaning);
        }
        return table;
    }

    /** The same for a command that {@code hf} has, too. */
    static Map<String, String> helpTableInHf() {
        Map<String, String> table = new LinkedHashMap<>();
        table.put(String.valueOf(OK.number), OK.meaning);
        table.put(String.valueOf(UNEXPECTED.number), "any error");
        table.put(String.valueOf(USAGE.number), USAGE.meaning);
        table.put(String.valueOf(INTERRUPTED.number), INTERRUPTED.meaning);
        return table;
    }
}
