#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# once: user
# Many containers on many networks, which find each other by name while others come and go.
load helpers

networks=10 each=10

setup_file() {
    store_setup
    mkdir -p "$FILE_DIR/nets"
    printf '[network]\nnetwork_config_dir = "%s"\n' "$FILE_DIR/nets" >>"$CONTAINERS_CONF"
    local i
    for ((i = 0; i < networks; i++)); do "$ENGINE" network create "many$i" >/dev/null 3>&-; done
}

teardown_file() { store_teardown; }

setup() { test_setup; }
teardown() { test_teardown; }

@test "100 containers on 10 networks resolve each other while others come and go" {
    local i rc=0 names
    export ENGINE IMAGE
    # shellcheck disable=SC2016
    seq 0 $((networks * each - 1)) | xargs -P 4 -I {} bash -c \
        '"$ENGINE" run -d --name "m{}" --network "many$(({} % '$networks'))" "$IMAGE" sleep 1000 >/dev/null 3>&-' || { echo 'not all have started'; return 1; }
    # One of each network asks for each name of it again and again.
    for ((i = 0; i < networks; i++)); do
        names=$(seq -f "m%g" $i $networks $((networks * each - 1)) | tr '\n' ' ')
        "$ENGINE" exec "m$i" sh -c "for n in 1 2 3 4 5 6; do for name in $names; do nslookup -type=a \$name >/tmp/answer 2>&1 || { cat /tmp/answer; echo failed: \$name; }; done; sleep 0.3; done" >"$FILE_DIR/asked$i" 2>&1 3>&- &
    done
    # Meanwhile others come and go.
    # shellcheck disable=SC2016
    seq 1 30 | xargs -P 2 -I {} bash -c '"$ENGINE" run --rm --network "many$(({} % '$networks'))" "$IMAGE" true 3>&-' || rc=1
    wait
    assert_equal "$(cat "$FILE_DIR"/asked*)" ""
    assert_equal $rc 0
    # Nobody knows the names of another network.
    berth 1 exec m0 nslookup -type=a m1.dns.podman
    berth ps -q
    assert_equal "${#lines[@]}" $((networks * each))
    berth rm -f -a -t 0
    berth network prune -f
    if is_berth; then
        not test -e "$RUNROOT/berth/networks/keeper"
        [[ -z $(find "$RUNROOT/berth/networks/leases" -name '*.*.*.*') ]]
        [[ -z $(ls "$RUNROOT/berth/networks/members") ]]
    fi
}
