package io.gptq4j.tensor;

import ai.djl.MalformedModelException;
import ai.djl.Model;
import ai.djl.pytorch.engine.PtSymbolBlock;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.zip.CRC32;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;

/**
 * TorchScript text as a callable module. The text is a resource of this package; it is wrapped, in memory, in the zip
 * archive that {@code torch.jit.load} reads, so that neither Python nor a binary is needed. All methods are compiled
 * and type-checked when the archive is loaded.
 */
final class Script implements AutoCloseable {
    private final Model model;

    private Script(Model model) {
        this.model = model;
    }

    /** Loads {@code name.py}, which must define a class {@code Name}. */
    static Script load(String name) {
        String className = Character.toUpperCase(name.charAt(0)) + name.substring(1);
        try (InputStream text = Script.class.getResourceAsStream(name + ".py")) {
            if (text == null) {
                throw new IllegalArgumentException("There is no TorchScript resource " + name + ".py");
            }
            byte[] archive = archive(className, text.readAllBytes());
            Script script = new Script(Model.newInstance(name, "PyTorch"));
            try {
                script.model.load(new ByteArrayInputStream(archive));
            } catch (IOException | MalformedModelException | RuntimeException e) {
                script.close();
                throw e;
            }
            return script;
        } catch (IOException e) {
            throw new UncheckedIOException("Cannot read the TorchScript resource " + name + ".py", e);
        } catch (MalformedModelException e) {
            throw new IllegalStateException("The TorchScript resource " + name + ".py does not compile", e);
        }
    }

    PtSymbolBlock block() {
        return (PtSymbolBlock) model.getBlock();
    }

    @Override
    public void close() {
        model.close();
    }

    /** The archive of a module without parameters; version 10 stands for today's operator semantics. */
    private static byte[] archive(String className, byte[] source) throws IOException {
        ByteArrayOutputStream pickle = new ByteArrayOutputStream();
        pickle.write(new byte[] {(byte) 0x80, 2, 'c'}); // PROTO 2, GLOBAL
        pickle.write(("__torch__\n" + className + "\n").getBytes(StandardCharsets.UTF_8));
        pickle.write(new byte[] {')', (byte) 0x81, '}', 'b', '.'}); // EMPTY_TUPLE NEWOBJ EMPTY_DICT BUILD STOP
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        try (ZipOutputStream zip = new ZipOutputStream(bytes)) {
            store(zip, "data.pkl", pickle.toByteArray());
            store(zip, "code/__torch__.py", source);
            store(zip, "constants.pkl", new byte[] {(byte) 0x80, 2, ')', '.'});
            store(zip, "version", "10\n".getBytes(StandardCharsets.UTF_8));
        }
        return bytes.toByteArray();
    }

    private static void store(ZipOutputStream zip, String name, byte[] content) throws IOException {
        CRC32 crc = new CRC32();
        crc.update(content);
        ZipEntry entry = new ZipEntry("archive/" + name);
        entry.setMethod(ZipEntry.STORED);
        entry.setSize(content.length);
        entry.setCrc(crc.getValue());
        zip.putNextEntry(entry);
        zip.write(content);
        zip.closeEntry();
    }
}
