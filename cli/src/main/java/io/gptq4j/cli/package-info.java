/**
 * The command {@code gptq4j}: its subcommands, its exit codes, and what it prints where.
 *
 * <p>Entry class is {@link io.gptq4j.cli.Main}. A subcommand reads its options, calls the libraries and prints one
 * result; work that another program could want belongs into a library module. Nothing here may make
 * {@code gptq4j --help} load the tensor library.
 */
@NullMarked
package io.gptq4j.cli;

import org.jspecify.annotations.NullMarked;
