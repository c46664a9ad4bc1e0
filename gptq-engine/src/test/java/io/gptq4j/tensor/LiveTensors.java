package io.gptq4j.tensor;

import ai.djl.ndarray.BaseNDManager;
import ai.djl.ndarray.NDArray;
import java.lang.reflect.Field;
import java.util.Map;

/** Counts what native memory a session holds, to show that a run gives everything back. */
public final class LiveTensors {
    private LiveTensors() {}

    /** Tensors alive on the session's device and on the host, in all scopes. */
    public static int count(Torch torch) {
        try (Scope probe = torch.scope()) {
            return count((BaseNDManager) probe.manager().getParentManager()) + count(torch.hostManager());
        }
    }

    private static int count(BaseNDManager manager) {
        int count = 0;
        for (Object resource : resources(manager).values()) {
            if (resource instanceof NDArray) {
                count++;
            } else if (resource instanceof BaseNDManager child) {
                count += count(child);
            }
        }
        return count;
    }

    private static Map<?, ?> resources(BaseNDManager manager) {
        try {
            Field field =
                    BaseNDManager.class.getDeclaredField("resources"); // its own list of arrays skips sub-managers
            field.setAccessible(true);
            return (Map<?, ?>) field.get(manager);
        } catch (ReflectiveOperationException e) {
            throw new AssertionError(e);
        }
    }
}
