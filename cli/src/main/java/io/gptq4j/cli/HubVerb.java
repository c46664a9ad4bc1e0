package io.gptq4j.cli;

/**
 * Marks a command that {@code hf} has, too. It ends as it does there, so that scripts can take one for the other: 0 for
 * success, 1 for any error, 2 for a wrong command line, 130 if interrupted.
 */
interface HubVerb {}
