package io.gptq4j.gptq;

/** The input of a module group holds a NaN or an infinity. */
public final class NotFiniteException extends ArithmeticException {
    private static final long serialVersionUID = 1;

    private final transient Hessian hessian;

    NotFiniteException(Hessian hessian, String message) {
        super(message);
        this.hessian = hessian;
    }

    /** The Hessian that was to take it, which tells which group it is. */
    Hessian hessian() {
        return hessian;
    }
}
