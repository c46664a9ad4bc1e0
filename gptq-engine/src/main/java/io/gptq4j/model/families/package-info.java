/**
 * One file per model family: it reads config.json and says which parts, names and shapes a checkpoint of it has. The
 * register is {@code ModelFamilies}. No arithmetic here.
 */
@NullMarked
package io.gptq4j.model.families;

import org.jspecify.annotations.NullMarked;
