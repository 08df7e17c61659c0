#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# once: user
# Commands that stop or remove what passes a filter: one that they cannot read, or do not know, ends them at once.
load helpers

@test "stop, rm and the prune commands refuse filters that they cannot read or do not know, and remove nothing" {
    is_berth || skip "podman 4.3 takes several of these"
    berth volume create "$name"
    berth create --name "$name" "$IMAGE" true
    berth run -d --name "$name-runs" "$IMAGE" sleep 1000
    printf 'FROM %s\nLABEL x=1\n' "$IMAGE" >"$FILE_DIR/Containerfile"
    berth build -q -t "localhost/$name" -f "$FILE_DIR/Containerfile" "$FILE_DIR"
    state() { "$ENGINE" volume ls -q; "$ENGINE" ps -a --format '{{.Names}} {{.State}}'; "$ENGINE" images -aq | sort; }
    before=$(state)
    while IFS='|' read -r verb bad; do
        for filter in "" nonsense nonsense=1 =1 = label! label= label!= until= until=never $bad; do
            # shellcheck disable=SC2086
            berth 125 $verb --filter "$filter"
            assert_contains "$output" "filter"
            # and beside one that they know
            # shellcheck disable=SC2086
            berth 125 $verb --filter label=none --filter "$filter"
            assert_equal "$verb $filter: $(state)" "$verb $filter: $before"
        done
    done <<'T'
rm|id= name= name=[ ancestor= volume= status=flying exited=x before=nobody health=well
rm -f -t 0|id= name= network=
stop -t 0|id= name= since=nobody
container prune -f|id= name= status=flying
image prune -f|id= dangling=perhaps reference= before=nobody
image prune -a -f|id= containers=x digest=abc
volume prune -f|name= name=[ dangling=perhaps driver= since=nobody scope=
T
    # the flags that other engines have for "everything" are refused by name
    berth 125 volume prune --all --filter label=none
    assert_equal "$(state)" "$before"
    # those that can be read do what they say
    berth image prune -a -f --filter label=y=1
    berth volume prune -f --filter label=x
    berth container prune -f --filter "name=nobody"
    assert_equal "$(state)" "$before"
    berth image prune -a -f --filter label=x=1
    berth volume prune -f --filter "name=^$name$"
    berth rm -f -t 0 --filter "name=^$name"
    assert_equal "$(state | grep -c "$name")" 0
}
