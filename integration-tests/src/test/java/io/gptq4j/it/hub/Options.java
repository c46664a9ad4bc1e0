package io.gptq4j.it.hub;

/** What {@link FakeHub.Builder} was told. */
record Options(
        int pageSize,
        long lfsThreshold,
        long multipartThreshold,
        long chunkSize,
        FakeHub.ResolveStyle resolveStyle,
        boolean cdnSameHost,
        boolean xet) {}
