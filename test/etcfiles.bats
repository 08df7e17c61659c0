#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
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

@test "HOME and WORKDIR of an image or a flag never add to /etc/passwd (CVE-2026-15809)" {
    local evil=$'/x\nroot2::0:0::/:/bin/sh' args
    printf 'FROM %s\nENV HOME="/y:/bin/evil"\nWORKDIR /a:b\n' "$IMAGE" >"$FILE_DIR/Containerfile"
    berth build -q -t localhost/evil "$FILE_DIR"
    for args in "--user 4321" "--user 4321:4321" "--userns keep-id"; do
        if [[ $args == *keep-id* ]] && ! is_rootless; then continue; fi
        for image in "$IMAGE" localhost/evil; do
            # shellcheck disable=SC2086
            berth run --rm --network none $args --env "HOME=$evil" "$image" sh -c 'grep -c root2 /etc/passwd; awk -F: "NF != 7" /etc/passwd; tail -n 1 /etc/passwd'
            [[ ${lines[0]} == 0 && ${#lines[@]} -eq 2 && ${lines[1]} != *evil* ]]
            # shellcheck disable=SC2086
            berth run --rm --network none $args "$image" sh -c 'awk -F: "NF != 7" /etc/passwd; tail -n 1 /etc/passwd'
            [[ ${#lines[@]} -eq 1 && ${lines[0]} != *evil* ]]
        done
    done
    berth rmi localhost/evil
}
