#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# once: user
# The examples of every command's help do what they say: those of examples.txt, section by section.
load helpers

setup_file() {
    store_setup
    start_registry
    # shellcheck disable=SC2119
    berth create --name made "$IMAGE" true
    berth commit -q --change 'CMD ["sleep", "1000"]' made localhost/nginx
    berth rm made
    berth tag "$IMAGE" localhost/alpine localhost/app
    berth save -q -o "$FILE_DIR/app.tar" localhost/app localhost/alpine
}

# examples SECTION: runs its lines in an empty directory.
examples() {
    local line how from
    mkdir -p "$FILE_DIR/$BATS_TEST_NUMBER" && cd "$FILE_DIR/$BATS_TEST_NUMBER" || return 1
    berth load -q -i "$FILE_DIR/app.tar"
    sed -n "/^== $1\$/,/^== /{/^==/d;/^\$/d;p}" "$HELPERS_DIR/examples.txt" >lines
    grep -q . lines
    while IFS= read -r line; do
        how=${line#* ### }
        [[ $how != "not here: "* ]] || continue
        if [[ $how != "$line" ]]; then
            from=${how%% =>*} how=${how#*=>}
            line=${line% ### *}
            [[ $line == *"$from"* ]]
            line=${line/"$from"/"${how# }"}
        fi
        echo "-- $line"
        timeout 100 bash -eo pipefail -c "${line#\$ }" </dev/null 3>&-
    done <lines
}

@test "containers" { examples containers; }
@test "health" { examples health; }
@test "images" { examples images; }
@test "builds" { examples builds; }
@test "registries" { examples registries; }
@test "volumes and secrets" { examples "volumes and secrets"; }
@test "the system" { examples "the system"; }
@test "parts" { examples parts; }

@test "every section is a test" {
    while IFS= read -r section; do
        grep -qx "@test \"$section\" { examples .*" "$BATS_TEST_FILENAME"
    done < <(sed -n 's/^== //p' "$HELPERS_DIR/examples.txt")
}
