package io.gptq4j.it.jmh;

import io.gptq4j.gptq.GptqOptions;
import io.gptq4j.gptq.GptqSolver;
import io.gptq4j.gptq.Hessian;
import io.gptq4j.tensor.FloatType;
import io.gptq4j.tensor.Scope;
import io.gptq4j.tensor.Tensor;
import io.gptq4j.tensor.Torch;
import java.util.List;
import java.util.SplittableRandom;
import java.util.concurrent.TimeUnit;
import org.jspecify.annotations.NullUnmarked;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;

/** The factorisation of a Hessian, and the solve of one module [out, in] with its factor. */
@State(org.openjdk.jmh.annotations.Scope.Benchmark)
@BenchmarkMode(Mode.SampleTime)
@OutputTimeUnit(TimeUnit.MILLISECONDS)
@Fork(1)
@Warmup(iterations = 1, time = 2)
@Measurement(iterations = 3, time = 5)
@NullUnmarked // JMH fills the fields
public class SolverBenchmark {
    /** Rows of the weight. */
    @Param({"1024", "4096"})
    public int out;

    /** Inputs. */
    @Param({"1024", "4096"})
    public int in;

    private final GptqSolver solver = new GptqSolver(GptqOptions.defaults());
    private Torch torch;
    private Scope scope;
    private Hessian hessian;
    private GptqSolver.Factored factored;
    private Tensor weight;

    /** Random inputs, twice as many as there are channels, and a random weight. */
    @Setup
    public void prepare() {
        torch = Torch.open("cpu");
        scope = torch.scope();
        hessian = new Hessian(scope, in);
        try (Tensor x = random(2 * in)) {
            hessian.add(x);
        }
        factored = solver.factor(scope, hessian);
        weight = random(out);
    }

    private Tensor random(int rows) {
        SplittableRandom random = new SplittableRandom(rows);
        float[] values = new float[Math.multiplyExact(rows, in)];
        for (int i = 0; i < values.length; i++) {
            values[i] = (float) random.nextDouble(-1, 1);
        }
        return scope.floats(values, rows, in);
    }

    /** Damping, order and factor, from the sums. */
    @Benchmark
    public double factor() {
        try (Scope step = scope.child()) {
            return solver.factor(step, hessian).dampPercent();
        }
    }

    /** The solve, down to codes in Java's arrays and the weight they stand for. */
    @Benchmark
    public double solve() {
        try (Scope step = scope.child()) {
            return solver.solve(step, factored, List.of(new GptqSolver.Module("m", weight)), FloatType.FLOAT32)
                    .loss();
        }
    }

    /** Frees everything. */
    @TearDown
    public void close() {
        torch.close();
    }
}
