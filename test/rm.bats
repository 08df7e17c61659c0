#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# rm: what is gone afterwards, and what is refused.
load helpers

@test "rm by name, by ID and by the ID's beginning" {
    berth create --name "$name" "$IMAGE" true
    berth rm "$name"
    berth create "$IMAGE" true
    berth rm "$output"
    berth create "$IMAGE" true
    berth rm "${output:0:8}"
    berth ps -aq
    assert_equal "$output" ""
}

@test "the file of --cidfile goes with its container, unless it says something else by now" {
    berth create --cidfile "$FILE_DIR/cid" "$IMAGE" true
    assert_equal "$(cat "$FILE_DIR/cid")" "$output"
    berth 125 create --cidfile "$FILE_DIR/cid" "$IMAGE" true
    berth rm --cidfile "$FILE_DIR/cid"
    not test -e "$FILE_DIR/cid"
    berth run --rm --cidfile "$FILE_DIR/cid" "$IMAGE" true
    not test -e "$FILE_DIR/cid"
    berth create --name "$name" --cidfile "$FILE_DIR/cid" "$IMAGE" true
    echo "of somebody else" >"$FILE_DIR/cid"
    berth rm "$name"
    assert_equal "$(cat "$FILE_DIR/cid")" "of somebody else"
    rm "$FILE_DIR/cid"
}

@test "rm refuses a running container, rm -f does not" {
    berth run -d --name "$name" "$IMAGE" sleep 100
    berth 2 rm "$name"
    assert_contains "$output" running
    berth exec "$name" true
    berth rm -f -t 0 "$name"
    berth 1 container exists "$name"
}

@test "rm of what is not there: 1, and 0 with --ignore" {
    berth 1 rm "no-such-$name"
    assert_contains "$output" "no-such-$name"
    berth rm --ignore "no-such-$name"
}

@test "rm -a takes those that do not run, rm -fa all" {
    berth create --name "$name-1" "$IMAGE" true
    berth run --name "$name-2" "$IMAGE" true
    berth rm -a
    berth ps -aq
    assert_equal "$output" ""
    berth run -d "$IMAGE" sleep 100
    berth create "$IMAGE" true
    berth rm -fa -t 0
    berth ps -aq
    assert_equal "$output" ""
}

@test "rm removes what the container wrote, of any owner" {
    berth run --name "$name" "$IMAGE" sh -c 'mkdir /x; touch /x/y; chown -R 1000:1000 /x; chmod 0 /x'
    berth rm "$name"
    # `! cmd` does not fail a bats test by itself.
    run find "$GRAPHROOT/overlay" -mindepth 3 -name x
    assert_equal "$output" ""
}

@test "rm -v removes anonymous volumes, rm keeps named ones" {
    # Where the two engines keep them differs by one directory.
    volumes() { find "$GRAPHROOT" -maxdepth 4 -path '*/volumes/*/_data' | wc -l; }
    vol=v-$(random_string)
    berth create --name "$name" -v "$vol:/a" -v /anonymous "$IMAGE" true
    assert_equal "$(volumes)" 2
    berth rm -v "$name"
    assert_equal "$(volumes)" 1
}

@test "an ID's beginning that several containers share is refused" {
    ids=()
    # 17 IDs: two begin with the same digit.
    for _ in $(seq 17); do berth create "$IMAGE" true; ids+=("$output"); done
    digit=$(printf '%s\n' "${ids[@]}" | cut -c1 | sort | uniq -d | head -n 1)
    berth 125 inspect --type container "$digit"
    berth ps -aq
    assert_equal "${#lines[@]}" 17
}
