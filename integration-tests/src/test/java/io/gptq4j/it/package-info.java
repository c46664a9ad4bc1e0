/**
 * The product from outside: the built distribution as a process, and the rules that hold for all modules.
 *
 * <p>{@link io.gptq4j.it.Cli} runs commands; classes named {@code *IT} use it after the distribution is built.
 */
@NullMarked
package io.gptq4j.it;

import org.jspecify.annotations.NullMarked;
