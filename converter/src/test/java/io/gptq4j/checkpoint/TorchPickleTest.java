package io.gptq4j.checkpoint;

import static io.gptq4j.checkpoint.TorchFiles.copy;
import static io.gptq4j.checkpoint.TorchFiles.refusal;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** What of a pickle is understood, and that nothing else of it is. */
class TorchPickleTest {
    @TempDir
    Path directory;

    @Test
    void readsPickleOfRealPyTorch() throws IOException {
        byte[] pickle = Files.readAllBytes(copy("tiny-opt-pickle.bin", directory));
        Map<String, TorchPickle.View> views = TorchPickle.read("tiny-opt", ByteBuffer.wrap(pickle));
        assertThat(views).hasSize(69);
        assertThat(views.get("model.decoder.embed_tokens.weight"))
                .isEqualTo(new TorchPickle.View(
                        new TorchPickle.Storage("HalfStorage", "0", 1048576),
                        "",
                        0,
                        List.of(4096L, 256L),
                        List.of(256L, 1L)));
        assertThat(views.get("lm_head.weight")).isEqualTo(views.get("model.decoder.embed_tokens.weight"));
    }

    @Test
    void refusesStackGlobalToo() throws IOException {
        Path file = TorchFiles.raw()
                .op(0x80, 4)
                .text("os")
                .text("system")
                .op(0x93, ')', 'R', '.')
                .zip(directory.resolve("evil.bin"));
        assertThat(refusal(file)).hasMessageContaining("the pickle refers to 'os.system'");
    }

    @ParameterizedTest
    @ValueSource(chars = {'i', 'o', '\u0081', 'P', 'V', 'S', 'I', 'L', '0', '1', '2', '\u0082', 'B', '\u0096'})
    void refusesInstructionsThatStateDictsDoNotNeed(char instruction) throws IOException {
        Path file = TorchFiles.raw().op(0x80, 2, instruction, '.').zip(directory.resolve("bad.bin"));
        assertThat(refusal(file))
                .hasMessageEndingWith(String.format("pickle instruction 0x%02x is not allowed", (int) instruction));
    }

    @Test
    void refusesToCallATypeOrAStorage() throws IOException {
        Path file = TorchFiles.raw()
                .op(0x80, 2)
                .global("torch", "FloatStorage")
                .op(')', 'R', '.')
                .zip(directory.resolve("bad.bin"));
        assertThat(refusal(file)).hasMessageContaining("'torch.FloatStorage' is called, which is not allowed");
    }

    @Test
    void refusesEveryTruncationOfAPickle() throws IOException {
        byte[] pickle = Files.readAllBytes(copy("tiny-opt-pickle.bin", directory));
        for (int length = 0; length < 2000; length++) {
            ByteBuffer part = ByteBuffer.wrap(Arrays.copyOf(pickle, length));
            assertThat(catchThrowableOfType(CheckpointException.class, () -> TorchPickle.read("cut", part)))
                    .as("cut at byte %d", length)
                    .isNotNull();
        }
    }

    @ParameterizedTest(name = "seed {0}")
    @ValueSource(longs = {1, 2, 3, 4, 5, 6, 7, 8})
    void neverFailsOtherwiseThanByRefusalOnDamagedPickles(long seed) throws IOException {
        byte[] pickle = Files.readAllBytes(copy("tiny-opt-pickle.bin", directory));
        Random random = new Random(seed);
        for (int round = 0; round < 500; round++) {
            byte[] damaged = pickle.clone();
            for (int i = 0; i < 1 + random.nextInt(8); i++) {
                damaged[random.nextInt(damaged.length)] = (byte) random.nextInt(256);
            }
            try {
                assertThat(TorchPickle.read("damaged", ByteBuffer.wrap(damaged)))
                        .hasSizeLessThanOrEqualTo(69);
            } catch (CheckpointException e) {
                assertThat(e).hasMessageStartingWith("damaged, data.pkl, byte ");
            }
        }
    }

    @Test
    void refusesStringLongerThanThePickle() throws IOException {
        Path file = TorchFiles.raw().op(0x80, 2, 'X').le(0xfffffff0L, 4).op('.').zip(directory.resolve("bad.bin"));
        assertThat(refusal(file)).hasMessageEndingWith("a string of 4294967280 bytes where 1 are left");
        Path wide = TorchFiles.raw().op(0x80, 4, 0x8d).le(-1, 8).op('.').zip(directory.resolve("wide.bin"));
        assertThat(refusal(wide)).hasMessageEndingWith("a string of 18446744073709551615 bytes where 1 are left");
    }

    @Test
    void refusesIntegerBeyondSixtyFourBits() throws IOException {
        Path file = TorchFiles.raw().op(0x80, 2, 0x8a, 9).le(1, 9).op('.').zip(directory.resolve("bad.bin"));
        assertThat(refusal(file)).hasMessageContaining("an integer of 9 bytes");
    }

    @Test
    void refusesPickleOfEndlessInstructions() throws IOException {
        byte[] bomb = new byte[10_000_002];
        Arrays.fill(bomb, (byte) 'N');
        bomb[0] = (byte) 0x80;
        bomb[1] = 2;
        assertThat(catchThrowableOfType(
                        CheckpointException.class, () -> TorchPickle.read("bomb", ByteBuffer.wrap(bomb))))
                .hasMessageContaining("more than 10000000 pickle instructions");
    }

    @Test
    void refusesShapeOfEndlessDimensions() throws IOException {
        long[] many = new long[65];
        Arrays.fill(many, 1);
        Path file = TorchFiles.stateDict()
                .tensor("w", "HalfStorage", "0", 1, 0, many, many)
                .end()
                .entry("data/0", new byte[2])
                .zip(directory.resolve("bad.bin"));
        assertThat(refusal(file)).hasMessageContaining("65 dimensions, PyTorch allows 64");
    }

    @Test
    void refusesCyclicKeyInsteadOfHashingIt() throws IOException {
        Path file = TorchFiles.raw()
                .op(0x80, 2, '}', ']', 'q', 0, 'h', 0, 'a', 'K', 1, 's', '.')
                .zip(directory.resolve("bad.bin"));
        assertThat(refusal(file)).hasMessageContaining("a dict key must be a string or an integer, found a list");
    }

    @Test
    void refusesAnythingBesideTensorsNamingTheKey() throws IOException {
        Path nested = TorchFiles.stateDict().text("state_dict").op('}').end().zip(directory.resolve("nested.bin"));
        assertThat(refusal(nested))
                .hasMessageContaining("its key 'state_dict' holds a dict; if this is a training checkpoint, save the"
                        + " model's state_dict() alone");
        Path number = TorchFiles.stateDict().text("epoch").integer(3).end().zip(directory.resolve("number.bin"));
        assertThat(refusal(number)).hasMessageContaining("its key 'epoch' holds the value 3");
        Path list = TorchFiles.raw().op(0x80, 2, ']', '.').zip(directory.resolve("list.bin"));
        assertThat(refusal(list)).hasMessageContaining("expected a state dict, found a list");
    }
}
