/** Benchmarks of single kernels, for JMH: by hand, as docs/benchmarks.md says; the gate compiles them only. */
@NullMarked
package io.gptq4j.it.jmh;

import org.jspecify.annotations.NullMarked;
