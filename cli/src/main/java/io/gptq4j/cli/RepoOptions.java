package io.gptq4j.cli;

import io.gptq4j.hub.HubClient;
import io.gptq4j.hub.repo.HubUri;
import io.gptq4j.hub.repo.Repo;
import io.gptq4j.hub.repo.RepoId;
import io.gptq4j.hub.repo.RepoType;
import io.gptq4j.hub.repo.Revision;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.ITypeConverter;
import picocli.CommandLine.Option;
import picocli.CommandLine.TypeConversionException;

/** Which kind of repository a command is about. */
final class RepoOptions {
    @Option(
            names = {"--type", "--repo-type"},
            paramLabel = "TYPE",
            converter = TypeConverter.class,
            description = "model, dataset or space (default: model, or what an hf:// address says).")
    private @Nullable RepoType type;

    /**
     * The repository a command was given.
     *
     * @param text {@code ns/name}, or an address such as {@code hf://datasets/ns/name@revision/path}
     * @throws IllegalArgumentException if it is neither, or the address and the option disagree
     */
    HubUri parse(String text) {
        if (!HubUri.isUri(text)) {
            return new HubUri(new Repo(type == null ? RepoType.MODEL : type, RepoId.parse(text)), null, null);
        }
        HubUri uri = HubUri.parse(text);
        if (type != null && type != uri.repo().type()) {
            throw new IllegalArgumentException(
                    "'" + text + "' is a " + uri.repo().type().singular() + ", but --type says " + type.singular()
                            + "; leave one of them out");
        }
        return uri;
    }

    /** The repository alone, where a revision or a path would make no sense. */
    Repo repo(String text) {
        HubUri uri = parse(text);
        if (uri.revision() != null || uri.path() != null) {
            throw new IllegalArgumentException("'" + text + "' names more than a repository; expected ns/name");
        }
        return uri.repo();
    }

    /**
     * The repository that was made: without a namespace the Hub takes the user's own, and only its answer says which.
     *
     * @param url the address of its page, as the Hub gave it
     */
    static Repo created(HubClient client, Repo asked, String url) {
        String site = client.config().endpoint() + "/";
        return asked.id().namespace() == null && url.startsWith(site)
                ? Repo.parse(url.substring(site.length()))
                : asked;
    }

    /** The revision of an option, of an address, or the default branch; both at once have to agree. */
    static Revision revision(@Nullable String option, HubUri uri) {
        Revision ofUri = uri.revision();
        if (option == null) {
            return ofUri == null ? Revision.MAIN : ofUri;
        }
        if (ofUri != null && !ofUri.name().equals(option)) {
            throw new IllegalArgumentException("The address says revision " + ofUri + ", but --revision says " + option
                    + "; leave one of them out");
        }
        return new Revision(option);
    }

    static final class TypeConverter implements ITypeConverter<RepoType> {
        @Override
        public RepoType convert(String value) {
            try {
                return RepoType.parse(value);
            } catch (IllegalArgumentException e) {
                throw new TypeConversionException(e.getMessage());
            }
        }
    }
}
