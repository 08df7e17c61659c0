#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# container runlabel: the command that an image's label has.
load helpers

setup_file() {
    store_setup
    mkdir "$FILE_DIR/context"
    cat >"$FILE_DIR/context/Containerfile" <<C
FROM $IMAGE
LABEL RUN="podman run --name NAME --label image=IMAGE IMAGE echo ran in"
LABEL show="printf %s, 'x y'"
LABEL fails="sh -c 'echo failed; exit 7'"
LABEL empty=""
LABEL none="/no/such/program"
C
    berth build -q -t localhost/team/labelled:1 "$FILE_DIR/context"
}

@test "runlabel runs the command with what stands for image and name" {
    berth container runlabel --display run localhost/team/labelled:1
    assert_contains "$output" "run --name labelled --label image=localhost/team/labelled:1 localhost/team/labelled:1 echo ran in"
    berth container runlabel run localhost/team/labelled:1 here
    assert_equal "$output" "ran in here"
    berth inspect --format '{{.Config.Labels.image}}' labelled
    assert_equal "$output" localhost/team/labelled:1
    berth 125 container runlabel RUN localhost/team/labelled:1 || return 1
    assert_contains "$output" "already in use"
    berth container runlabel --replace run localhost/team/labelled:1 again
    assert_equal "$output" "ran in again"
    berth container runlabel -q --name "$name" run localhost/team/labelled:1
    assert_equal "$output" ""
    berth rm "$name" labelled
    is_berth || return 0
    berth --log-level error container runlabel -n "$name" run localhost/team/labelled:1
    berth rm "$name"
}

@test "runlabel runs other programs, and ends as they do" {
    is_berth || skip "podman splits words a second time"
    berth container runlabel show localhost/team/labelled:1 a "b c"
    assert_equal "$output" "x y,a,b c,"
    berth 7 container runlabel fails localhost/team/labelled:1
    assert_equal "$output" failed
    berth 127 container runlabel none localhost/team/labelled:1
    berth 125 container runlabel nothing localhost/team/labelled:1
    assert_contains "$output" "cannot find the value of label: nothing in image: localhost/team/labelled:1"
    berth 125 container runlabel empty localhost/team/labelled:1
    berth 125 container runlabel run localhost/none-such
    assert_contains "$output" "localhost/none-such"
}
