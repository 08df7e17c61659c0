#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# once: user
# When a build asks a registry for images.

load helpers
load build

setup_file() {
    store_setup
    start_registry
    push_fixture busybox base:1
    push_fixture busybox other:1
    export REGISTRY_LOG=${REGISTRY_DIR%/data}/log
}

setup() {
    test_setup
    local image
    for image in base other; do
        "$ENGINE" image exists "$REGISTRY/$image:1" 3>&- || berth pull -q "$REGISTRY/$image:1"
    done
    : >"$REGISTRY_LOG"
}

# asked [NAME]: how many manifests the registry was asked for.
asked() { grep -ac "http.request.method=[A-Z]* .*http.request.uri=\"\?/v2/${1:-[a-z]*}/manifests/" "$REGISTRY_LOG" || true; }

@test "images that are in the store are not asked for" {
    local text b=$REGISTRY/base:1 o=$REGISTRY/other:1
    while IFS= read -r text; do
        context <<<"${text//;/$'\n'}"
        build --no-cache
        assert_equal "$(asked) $text" "0 $text"
        assert_equal "$(grep -ac 'http.request.uri' "$REGISTRY_LOG" || true) $text" "0 $text"
    done <<-X
	FROM $b;RUN true
	FROM $b AS a;RUN echo 1 > /a;FROM $b;COPY --from=a /a /a
	FROM $b AS a;RUN echo 1 > /a;FROM $o AS c;COPY --from=a /a /a;FROM c;RUN true
	ARG B=$b;FROM \$B AS a;RUN echo 1 > /a;FROM scratch;COPY --from=a /a /a
	FROM $b AS a;FROM $b;COPY --from=$o /etc/passwd /p;RUN --mount=from=$o,target=/x true
	FROM --platform=\$BUILDPLATFORM $b AS a;RUN echo 1 > /a;FROM $b;COPY --from=a /a /a
	FROM $b AS unused;FROM $b
	X
    context <<<"FROM named AS a"$'\nFROM named'
    build --no-cache --build-context "named=docker-image://$REGISTRY/base:1"
    context <<<"FROM $REGISTRY/base:1 AS a"$'\n'"FROM $REGISTRY/base:1"
    build --no-cache --platform "linux/$(uname -m | sed 's/x86_64/amd64/; s/aarch64/arm64/')"
    assert_equal "$(asked)" 0
}

@test "an image that is missing is asked for once, whatever names it, and only where it is needed" {
    context <<<"FROM $REGISTRY/base:1 AS a"$'\n'"FROM $REGISTRY/base:1 AS b"$'\n'"FROM $REGISTRY/none:1 AS unused"$'\n'"FROM a"$'\n'"COPY --from=$REGISTRY/other:1 /etc/passwd /p"$'\n'"COPY --from=b /etc/passwd /q"
    berth rmi -f "$REGISTRY/base:1" "$REGISTRY/other:1"
    build --no-cache
    assert_equal "$(asked base) $(asked other) $(asked none)" "1 1 0"
    berth image exists "$REGISTRY/base:1"
}

@test "--pull=always and newer ask once for each image, --pull=never does not" {
    context <<<"FROM $REGISTRY/base:1 AS a"$'\n'"FROM $REGISTRY/base:1"$'\n'"COPY --from=$REGISTRY/other:1 /etc/passwd /p"$'\nCOPY --from=a /etc/passwd /q'
    for policy in always newer; do
        : >"$REGISTRY_LOG"
        build --no-cache "--pull=$policy"
        [[ $(asked base) -ge 1 && $(asked base) -le 2 && $(asked other) -ge 1 ]] || { grep -a manifests "$REGISTRY_LOG"; return 1; }
    done
    : >"$REGISTRY_LOG"
    build --no-cache --pull=never
    assert_equal "$(asked)" 0
    berth rmi -f "$REGISTRY/other:1"
    build 125 --no-cache --pull=never
    assert_contains "$output" "Containerfile:3: COPY --from=$REGISTRY/other:1 /etc/passwd /p: "
}

@test "an image that cannot be fetched: the line that names it, the reason and a hint" {
    context <<<$'# comment\n'"FROM $REGISTRY/none:1"
    build 125
    assert_contains "$output" "Containerfile:2: FROM $REGISTRY/none:1: "
    assert_contains "$output" "Hint: check the spelling of name and tag"
    context <<<"FROM $IMAGE"$'\n\n'"COPY --from=$REGISTRY/none:1 /x /x"
    build 125
    assert_contains "$output" "Containerfile:3: COPY --from=$REGISTRY/none:1 /x /x: no stage or image found with that name: "
    context <<<"FROM localhost/not-built"
    build 125
    assert_contains "$output" "Hint: localhost/ is where images that were built or loaded here are"
}
