package io.gptq4j.it.hub;

import java.util.List;
import java.util.Map;

/**
 * An account with its one token.
 *
 * @param role {@code read} or {@code write}
 */
record User(String name, String token, String tokenName, String role, List<String> organisations) {
    boolean owns(String namespace) {
        return name.equals(namespace) || organisations.contains(namespace);
    }

    boolean mayWrite(String namespace) {
        return role.equals("write") && owns(namespace);
    }

    Map<String, Object> whoami() {
        List<Map<String, Object>> orgs = organisations.stream()
                .map(org -> Json.map(
                        "type",
                        "org",
                        "id",
                        Hex.id("org " + org, 24),
                        "name",
                        org,
                        "fullname",
                        org,
                        "canPay",
                        false,
                        "isEnterprise",
                        false,
                        "roleInOrg",
                        role))
                .toList();
        Map<String, Object> accessToken =
                Json.map("displayName", tokenName, "role", role, "createdAt", "2023-11-14T22:13:20.000Z");
        return Json.map(
                "type",
                "user",
                "id",
                Hex.id("user " + name, 24),
                "name",
                name,
                "fullname",
                Character.toUpperCase(name.charAt(0)) + name.substring(1),
                "email",
                name + "@fakehub.example",
                "emailVerified",
                true,
                "canPay",
                false,
                "isPro",
                false,
                "avatarUrl",
                "/avatar.svg",
                "orgs",
                orgs,
                "auth",
                Json.map("type", "access_token", "accessToken", accessToken));
    }
}
