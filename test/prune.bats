#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# once: user
# prune: what it asks, what it removes, and how much room it says that it gives back.
load helpers

# answered ANSWER ARG...: the engine with ANSWER on standard input; sets status and output.
answered() {
    status=0
    output=$(printf '%b' "$1" | timeout 60 "$ENGINE" "${@:2}" 2>&1 3>&-) || status=$?
    echo "$ printf '$1' | ${*:2}"; echo "$output"; echo "exit code $status"
}

@test "prune takes its answer from standard input: only y is yes, and no answer at all is an error" {
    local answer verb
    for verb in container volume image; do
        for answer in 'n\n' '\n' 'no\n' 'x\n' ''; do
            berth create --name "$name" "$IMAGE" true
            berth volume create "v-$name"
            berth tag "$IMAGE" "localhost/$name"
            case $verb in image) answered "$answer" image prune -a ;; *) answered "$answer" $verb prune ;; esac
            if [[ -z $answer ]]; then [[ $status -eq 125 ]]; else [[ $status -eq 0 ]]; fi
            berth container exists "$name"
            berth volume exists "v-$name"
            berth image exists "localhost/$name"
            berth rm "$name"
            berth volume rm "v-$name"
        done
    done
    for answer in 'y\n' 'Y\n' 'yes\n' 'y'; do
        berth create --name "$name" "$IMAGE" true
        answered "$answer" container prune
        # podman wants the end of the line as well
        is_berth || [[ $answer == *n ]] || berth rm "$name"
        berth 1 container exists "$name"
        berth volume create "v-$name"
        answered 'y\n' volume prune --all
        [[ $status -eq 0 ]] || answered 'y\n' volume prune # podman 4.3 has no --all
        berth 1 volume exists "v-$name"
    done
    berth untag "$IMAGE" "localhost/$name"
    berth create --name "$name" "$IMAGE" true
    printf 'FROM scratch\nLABEL a=%s\n' "$name" | berth build -q -t "localhost/$name" -
    answered 'y\n' image prune -a
    [[ $status -eq 0 ]]
    berth 1 image exists "localhost/$name"
    berth image exists "$IMAGE"
}

# room: bytes of the images and the build cache, as the disk has them.
room() { "$ENGINE" system df --format '{{.Type}} {{.RawSize}}' 3>&- | awk '/^(Images|Build)/ { n += $NF } END { print n }'; }

# human BYTES: as prune writes them.
human() { awk -v n="$1" 'BEGIN { split("B kB MB GB", unit); for (i = 1; n >= 1000; i++) n /= 1000; printf "%.4g%s", n, unit[i] }'; }

@test "builder prune gives back what it says: layers that others have too do not count" {
    is_berth || skip "podman has no builder prune that counts"
    local ctx=$FILE_DIR/ctx before said n
    mkdir -p "$ctx"
    head -c 5000000 /dev/urandom >"$ctx/big"
    head -c 300000 /dev/urandom >"$ctx/small"
    for n in 1 2 3 4; do
        printf 'FROM %s\nCOPY big /big\nCOPY small /small\nENV n=%s\nENV m=%s\n' "$IMAGE" "$n" "$n" >"$ctx/Containerfile"
        berth build -q --network none -t "localhost/$name" "$ctx"
    done
    before=$(room)
    berth builder prune --force
    said=$(sed -n 's/^Total reclaimed space: //p' <<<"$output")
    n=$((before - $(room)))
    assert_equal "$said" "$(human "$n")"
    [[ $n -lt 1000000 ]]
    berth run --rm --network none "localhost/$name" wc -c /big
    berth rmi "localhost/$name"
    before=$(room)
    berth builder prune --force
    [[ $((before - $(room))) -eq 0 ]]
}

@test "image prune --build-cache and --external: what builds keep, and their working containers" {
    is_berth || skip "podman 4.3 has neither"
    mkdir "$FILE_DIR/c-$name"
    printf 'FROM %s\nRUN --mount=type=cache,id=%s,target=/cache echo line >>/cache/log && cp /cache/log /log\n' "$IMAGE" "$name" >"$FILE_DIR/c-$name/Containerfile"
    berth build -q --network none -t "localhost/$name" "$FILE_DIR/c-$name"
    berth image prune -f --build-cache
    berth build -q --network none --no-cache -t "localhost/$name" "$FILE_DIR/c-$name"
    berth run --rm "localhost/$name" cat /log
    assert_equal "$output" line

    command -v buildah >/dev/null || skip "buildah is missing"
    buildah from --name "w-$name" "localhost/$name" 3>&-
    buildah from --name "w2-$name" "localhost/$name" 3>&-
    berth untag "localhost/$name"
    berth image prune -f
    berth container exists --external "w-$name"
    berth create --name "$name" "$IMAGE" true # a container of this engine keeps its image
    berth image prune -f --external
    berth 1 container exists --external "w-$name"
    berth 1 container exists --external "w2-$name"
    berth images -aq --filter dangling=true
    assert_equal "$output" ""
    berth image exists "$IMAGE"

    berth tag "$IMAGE" "localhost/$name"
    buildah from --name "w-$name" "$IMAGE" 3>&-
    berth image prune -af --external
    berth container exists --external "w-$name"
    berth image exists "$IMAGE"
    buildah rm "w-$name" 3>&-
    berth rm "$name"
    berth system check
}
