package io.gptq4j.hub.repo;

/**
 * A repository on the Hub.
 *
 * @param type what it is
 * @param id its name
 */
public record Repo(RepoType type, RepoId id) {
    /** A model repository, {@code namespace/name} or {@code name}. */
    public static Repo model(String id) {
        return new Repo(RepoType.MODEL, RepoId.parse(id));
    }

    /** Reads a web path: {@code ns/name} is a model, {@code datasets/ns/name} and {@code spaces/ns/name} say what they are. */
    public static Repo parse(String path) {
        for (RepoType type : RepoType.values()) {
            if (path.startsWith(type.plural() + "/") && path.indexOf('/') != path.lastIndexOf('/')) {
                return new Repo(type, RepoId.parse(path.substring(type.plural().length() + 1)));
            }
        }
        return new Repo(RepoType.MODEL, RepoId.parse(path));
    }

    /** The path of its web page below the endpoint, which {@link #parse} reads. */
    public String webPath() {
        return type.webPrefix() + id;
    }

    /** Its folder in the cache of huggingface_hub, such as {@code models--ns--name}. */
    public String cacheFolder() {
        return type.plural() + "--" + id.toString().replace("/", "--");
    }

    /** For messages, such as {@code model 'ns/name'}. */
    @Override
    public String toString() {
        return type.singular() + " '" + id + "'";
    }
}
