#!/usr/bin/env bats
# What users and images name never adds a line to a file that Berth writes for a container.

load helpers

@test "a host name, --add-host or --dns option with a line break is refused" {
    local evil=$'a\n6.6.6.6 evil'
    berth 125 run --rm --hostname "$evil" $IMAGE true
    berth 125 run --rm --uts host --hostname "$evil" $IMAGE true
    berth 125 run --rm --add-host "$evil:192.0.2.1" $IMAGE true
    berth 125 run --rm --dns-search "$evil" $IMAGE true
    berth 125 run --rm --dns-option "$evil" $IMAGE true
    berth 125 run --rm --name "$evil" $IMAGE true
    berth ps -a --format '{{.Names}}'
    assert_equal "$output" ""
}

@test "/run/.containerenv is read by a shell as it stands" {
    berth run --rm --network none -v "$FILE_DIR/tmp:/\$(touch pwned)" $IMAGE \
        sh -c '. /run/.containerenv; echo "$mounts"; ls -d /pwned 2>/dev/null || echo safe'
    assert_equal "$output" $'/$(touch pwned)\nsafe'
}
