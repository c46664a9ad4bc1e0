package io.gptq4j.it.hub;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Something that goes wrong with the next requests that match, as in
 * {@code Fault.on("GET", "/_cdn/").dropAfter(1_200_000).rst().times(1)}.
 *
 * <p>A fault holds for one request unless {@link #times} says otherwise. What slows or cuts a body means the request's
 * body for PUT and the answer's body for every other method. Not to be changed once {@link FakeHub#fault} has it.
 */
public final class Fault {
    static final Fault NONE = new Fault("", "");

    final String method;
    final String pathPart;
    String queryPart = "";
    int times = 1;
    int skip;

    int status;

    @Nullable
    String message;

    final Headers headers = new Headers();
    final List<String> withoutHeaders = new ArrayList<>();
    long dropAfter = -1;
    boolean rst;
    boolean refuse;
    boolean loseAnswer;
    long stallAfter = -1;
    Duration stall = Duration.ZERO;
    Duration delay = Duration.ZERO;
    long bytesPerSecond;
    boolean corrupt;
    boolean shortBody;
    long contentLength = -1;
    boolean ignoreRange;
    boolean gzip;

    private final List<String> description = new ArrayList<>();

    private Fault(String method, String pathPart) {
        this.method = method;
        this.pathPart = pathPart;
    }

    /** Matches this method, or any if it is {@code *}, on raw paths that contain {@code pathPart}. */
    public static Fault on(String method, String pathPart) {
        return new Fault(method, pathPart);
    }

    /** Matches only raw queries with this part, such as {@code partNumber=2}. */
    public Fault query(String part) {
        queryPart = part;
        return this;
    }

    /** For how many matching requests the fault holds; 1 if not said. */
    public Fault times(int count) {
        times = count;
        return this;
    }

    /** Lets this many matching requests pass first. */
    public Fault skipping(int count) {
        skip = count;
        return this;
    }

    /** Answers with this status and the text {@code injected}, without processing the request. */
    public Fault status(int code) {
        status = code;
        return says("status " + code);
    }

    /** Adds {@code X-Error-Message} and the body {@code {"error": text}} to {@link #status}. */
    public Fault message(String text) {
        message = text;
        headers.set("X-Error-Message", text);
        return this;
    }

    public Fault errorCode(String code) {
        return header("X-Error-Code", code);
    }

    public Fault retryAfter(int seconds) {
        return header("Retry-After", Integer.toString(seconds));
    }

    /** Says that nothing is left of the quota for the next {@code seconds}. */
    public Fault rateLimit(int seconds) {
        return header("RateLimit", "\"api\";r=0;t=" + seconds);
    }

    /** Sets a header of the answer, whether it is injected or the proper one. */
    public Fault header(String name, String value) {
        headers.set(name, value);
        return says(name + ": " + value);
    }

    public Fault withoutHeader(String... names) {
        withoutHeaders.addAll(List.of(names));
        return says("without " + String.join(", ", names));
    }

    /** Answers with a redirect, without processing the request: 307 unless {@link #status} says otherwise. */
    public Fault redirect(String location) {
        status = status == 0 ? 307 : status;
        return header("Location", location);
    }

    /** Closes the connection after this many bytes of the body, with FIN unless {@link #rst}. */
    public Fault dropAfter(long bytes) {
        dropAfter = bytes;
        return says("drop after " + bytes);
    }

    /** Resets the connection where {@link #dropAfter}, {@link #refuse} or {@link #loseAnswer} would close it. */
    public Fault rst() {
        rst = true;
        return says("rst");
    }

    /** Closes the connection before the status line; the request is read and not processed. */
    public Fault refuse() {
        refuse = true;
        return says("refuse");
    }

    /** Processes the request and closes the connection without an answer. */
    public Fault loseAnswer() {
        loseAnswer = true;
        return says("lose answer");
    }

    /** Pauses after this many bytes of the body, then goes on. */
    public Fault stall(long afterBytes, Duration pause) {
        stallAfter = afterBytes;
        stall = pause;
        return says("stall after " + afterBytes);
    }

    /** Waits before it processes the request. */
    public Fault delay(Duration pause) {
        delay = pause;
        return says("delay " + pause);
    }

    /** Lets the body dribble at this rate. */
    public Fault bytesPerSecond(long rate) {
        bytesPerSecond = rate;
        return says(rate + " bytes/s");
    }

    /** Flips one bit in the middle of the answer's body; the size stays. */
    public Fault corrupt() {
        corrupt = true;
        return says("corrupt");
    }

    /** Sends the first half of the body as if it were all, Content-Length included. */
    public Fault shortBody() {
        shortBody = true;
        return says("short body");
    }

    /** Sends this Content-Length whatever the body has, and closes the connection after the body. */
    public Fault contentLength(long length) {
        contentLength = length;
        return says("Content-Length " + length);
    }

    /** Answers as if there were no Range header. */
    public Fault ignoreRange() {
        ignoreRange = true;
        return says("ignore range");
    }

    /** Compresses the body: Content-Encoding gzip, chunked, without Content-Length. */
    public Fault gzip() {
        gzip = true;
        return says("gzip");
    }

    private Fault says(String what) {
        description.add(what);
        return this;
    }

    boolean matches(Request request) {
        return (method.equals("*") || method.equals(request.method()))
                && request.path().contains(pathPart)
                && request.query().contains(queryPart);
    }

    Answer answer() {
        Answer answer =
                message != null ? Answer.error(new HubError(status, null, message)) : Answer.text(status, "injected");
        return answer;
    }

    @Override
    public String toString() {
        return String.join(", ", description);
    }
}
