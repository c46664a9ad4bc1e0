package io.gptq4j.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.gptq4j.checkpoint.CheckpointException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;

/** docs/families.md says what the program knows. */
class FamiliesDocTest {
    private static final Path DOCUMENT = Path.of("..", "docs", "families.md");

    @Test
    void theDocumentIsWhatTheProgramKnows() throws Exception {
        String expected = document();
        if (!Files.readString(DOCUMENT).equals(expected)) {
            Path written = Path.of("target", "families.md");
            Files.writeString(written, expected);
            assertThat(DOCUMENT)
                    .as("families.md is out of date; copy " + written.toAbsolutePath() + " over it")
                    .hasContent(expected);
        }
    }

    private static String document() throws CheckpointException {
        StringBuilder text = new StringBuilder("""
                # Model families

                What `gptq4j families` knows. A model belongs to the family that lists its `model_type`; `--family NAME` takes
                it for one of another. Every key of config.json that changes the computation is obeyed, or refused by its name.

                * **Servers** have a class for the family that loads GPTQ weights; *transformers* needs optimum and GPTQModel.
                * **Modules** are quantized, those with a comma between them with one Hessian; `*` is the number of an expert.
                  Embeddings, heads, norms, and where they are named, routers stay as they are.

                | family | model_type | variants | servers |
                |---|---|---|---|
                """);
        for (FamiliesCommand.Row row : FamiliesCommand.rows()) {
            text.append("| ").append(row.family());
            text.append(" | ").append(String.join(", ", row.modelTypes()));
            text.append(" | ").append(row.variants());
            text.append(" | ").append(String.join(", ", row.servers())).append(" |\n");
        }
        text.append("\n| family | modules |\n|---|---|\n");
        for (FamiliesCommand.Row row : FamiliesCommand.rows()) {
            text.append("| ").append(row.family());
            text.append(" | ").append(FamiliesCommand.modules(row).replace(" | ", "; "));
            text.append(row.keptInFloat().isEmpty() ? "" : "; in float: " + String.join(", ", row.keptInFloat()));
            text.append(" |\n");
        }
        return text.toString();
    }
}
