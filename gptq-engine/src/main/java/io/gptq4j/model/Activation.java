package io.gptq4j.model;

import java.util.List;
import java.util.Optional;

/** Activation functions, with the names config.json has for them. */
public enum Activation {
    SILU("silu", "silu", "swish"),
    GELU("gelu", "gelu", "gelu_python"),
    GELU_TANH("gelu_tanh", "gelu_new", "gelu_pytorch_tanh", "gelu_fast", "gelu_accurate"),
    QUICK_GELU("quick_gelu", "quick_gelu"),
    RELU("relu", "relu"),
    RELU_SQUARED("relu_squared", "relu2");

    private final String script;
    private final List<String> names;

    Activation(String script, String... names) {
        this.script = script;
        this.names = List.of(names);
    }

    /** The name in {@code decoder.py}. */
    String script() {
        return script;
    }

    /** The activation with this name in config.json, if it is a known one. */
    public static Optional<Activation> of(String name) {
        for (Activation activation : values()) {
            if (activation.names.contains(name)) {
                return Optional.of(activation);
            }
        }
        return Optional.empty();
    }
}
