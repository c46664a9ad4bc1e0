package io.gptq4j.hub.repo;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class RepoTest {
    @ParameterizedTest
    @CsvSource(textBlock = """
            acme/m,             MODEL,   acme/m, models--acme--m,        acme/m,             model 'acme/m'
            gpt2,               MODEL,   gpt2,   models--gpt2,           gpt2,               model 'gpt2'
            models/acme/m,      MODEL,   acme/m, models--acme--m,        acme/m,             model 'acme/m'
            datasets/acme/d,    DATASET, acme/d, datasets--acme--d,      datasets/acme/d,    dataset 'acme/d'
            spaces/acme/s,      SPACE,   acme/s, spaces--acme--s,        spaces/acme/s,      space 'acme/s'
            datasets/squad,     MODEL,   datasets/squad, models--datasets--squad, datasets/squad, model 'datasets/squad'
            """)
    void aWebPathIsRead(String text, RepoType type, String id, String folder, String path, String shown) {
        Repo repo = Repo.parse(text);
        assertThat(repo).isEqualTo(new Repo(type, RepoId.parse(id))).hasToString(shown);
        assertThat(repo.cacheFolder()).isEqualTo(folder);
        assertThat(repo.webPath()).isEqualTo(path);
    }

    @Test
    void typesAreSpeltAsTheHubSpellsThem() {
        assertThat(RepoType.parse("dataset")).isEqualTo(RepoType.DATASET);
        assertThat(RepoType.SPACE.plural()).isEqualTo("spaces");
        assertThatIllegalArgumentException()
                .isThrownBy(() -> RepoType.parse("datasets"))
                .withMessageContaining("expected one of model, dataset, space");
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', nullValues = "-", textBlock = """
            hf://acme/m                         | acme/m           | -         | -
            hf://gpt2                           | gpt2             | -         | -
            hf://models/acme/m                  | acme/m           | -         | -
            hf://datasets/acme/d                | datasets/acme/d  | -         | -
            hf://acme/m/config.json             | acme/m           | -         | config.json
            hf://acme/m/sub/a.txt               | acme/m           | -         | sub/a.txt
            hf://acme/m@v1                      | acme/m           | v1        | -
            hf://acme/m@v1/sub/a.txt            | acme/m           | v1        | sub/a.txt
            hf://gpt2@v1/a.txt                  | gpt2             | v1        | a.txt
            hf://acme/m@refs/pr/1               | acme/m           | refs/pr/1 | -
            hf://acme/m@refs/pr/1/sub/a.txt     | acme/m           | refs/pr/1 | sub/a.txt
            hf://acme/m@refs%2Fpr%2F1/a.txt     | acme/m           | refs/pr/1 | a.txt
            hf://acme/m@a%2fb/a.txt             | acme/m           | a/b       | a.txt
            hf://datasets/acme/d@v1/a.txt       | datasets/acme/d  | v1        | a.txt
            hf://acme/m/icon@2x.png             | acme/m           | -         | icon@2x.png
            hf://acme/m@v1/icon@2x.png          | acme/m           | v1        | icon@2x.png
            hf://spaces/acme/s/a@b/c            | spaces/acme/s    | -         | a@b/c
            """)
    void aUriIsRead(String text, String repo, String revision, String path) {
        assertThat(HubUri.isUri(text)).isTrue();
        assertThat(HubUri.parse(text))
                .isEqualTo(new HubUri(Repo.parse(repo), revision == null ? null : new Revision(revision), path));
    }

    @ParameterizedTest
    @ValueSource(
            strings = {
                "acme/m",
                "hf:/acme/m",
                "hf://",
                "hf:///m",
                "hf://acme/",
                "hf://a b/c",
                "hf://acme/m@",
                "hf://acme/m@../x"
            })
    void anythingElseIsNoUri(String text) {
        assertThatIllegalArgumentException().isThrownBy(() -> HubUri.parse(text));
    }
}
