package io.gptq4j.hub.repo;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class RevisionTest {
    @Test
    void theDefaultBranchIsMain() {
        assertThat(Revision.MAIN).hasToString("main");
    }

    @ParameterizedTest
    @ValueSource(strings = {"main", "v1.0", "refs/pr/1", "feature/x-y_z"})
    void acceptsWhatGitAccepts(String name) {
        assertThat(new Revision(name).isCommitHash()).isFalse();
    }

    @ParameterizedTest
    @ValueSource(
            strings = {"", "..", "a/../b", "/etc", "a//b", "a b", "-\u0000", "a\\b", ".hidden", "a/.git", "a^", "x."})
    void refusesWhatWouldLeaveItsFolder(String name) {
        assertThatIllegalArgumentException().isThrownBy(() -> new Revision(name));
    }

    @Test
    void aCommitHashHasFortyDigits() {
        assertThat(new Revision("3083c96c89e9393cc384b3f42b8ca68ae0d37582").isCommitHash())
                .isTrue();
        assertThat(new Revision("3083c96").isCommitHash()).isFalse();
    }
}
