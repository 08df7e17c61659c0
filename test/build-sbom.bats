#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# once: user
# build --sbom: the scanner runs as a container of Berth's. The scanner here is a script in an image made of busybox.

load helpers
load build

setup_file() {
    store_setup
    mkdir "$FILE_DIR/scanner"
    # scan FORMAT DIRECTORY OUTPUT: a bill of the files called *.pkg, which have "NAME VERSION" in them.
    cat >"$FILE_DIR/scanner/scan" <<-'X'
	#!/bin/sh
	set -e
	format=$1 dir=$2 out=$3 sep=
	case $format in
	cyclonedx) printf '{"bomFormat":"CycloneDX","specVersion":"1.6","serial":12345678901234567890,"components":[' >"$out" ;;
	spdx) printf '{"spdxVersion":"SPDX-2.3","packages":[' >"$out" ;;
	esac
	for f in $(find "$dir" -xdev -name '*.pkg' | sort); do
	    read -r n v <"$f"
	    case $format in
	    cyclonedx) printf '%s{"name":"%s","version":"%s","purl":"pkg:test/%s@%s"}' "$sep" "$n" "$v" "$n" "$v" >>"$out" ;;
	    spdx) printf '%s{"name":"%s","versionInfo":"%s","externalRefs":[{"referenceCategory":"PACKAGE-MANAGER","referenceType":"purl","referenceLocator":"pkg:test/%s@%s"}]}' "$sep" "$n" "$v" "$n" "$v" >>"$out" ;;
	    esac
	    sep=,
	done
	printf ']}' >>"$out"
	X
    printf 'FROM %s\nCOPY --chmod=755 scan /scan\nUSER 1000\nENTRYPOINT ["/no/such"]\n' "$IMAGE" >"$FILE_DIR/scanner/Containerfile"
    berth build -q --network none -t localhost/scanner "$FILE_DIR/scanner"
}

setup() {
    test_setup
    context <<<"FROM $IMAGE"$'\nCOPY a.pkg /opt/a.pkg\nRUN echo made 2 > /opt/b.pkg'
    echo "liba 1" >"$CTX/a.pkg"
    echo "only-in-context 3" >"$CTX/c.pkg"
    OUT=$FILE_DIR/out-$name
    mkdir "$OUT"
}

# scan FORMAT STRATEGY ARG...: builds $CTX, with both commands of a scanner.
scan() {
    local format=$1 strategy=$2
    shift 2
    build --sbom-scanner-image localhost/scanner --sbom-scanner-command "/scan $format {ROOTFS} {OUTPUT}" \
        --sbom-scanner-command "/scan $format {CONTEXT} {OUTPUT}" --sbom-merge-strategy "$strategy" "$@"
}

@test "the bill and the package URLs, in files and in the image; what both scans find is there once" {
    scan cyclonedx merge-cyclonedx-by-component-name-and-version --sbom-output "$OUT/bill" --sbom-purl-output "$OUT/purls" \
        --sbom-image-output /root/buildinfo/bill.json --sbom-image-purl-output /root/buildinfo/purls.json --iidfile "$OUT/iid" --metadata-file "$OUT/meta" -t "localhost/$name-2"
    assert_equal "$(jq -r '.components[] | .name + " " + .version' "$OUT/bill" | sort | paste -sd,)" "liba 1,made 2,only-in-context 3"
    assert_equal "$(jq -c .image_contents.dependencies "$OUT/purls")" '["pkg:test/liba@1","pkg:test/made@2","pkg:test/only-in-context@3"]'
    grep -q '"serial":12345678901234567890' "$OUT/bill"
    in_image cat /root/buildinfo/bill.json
    assert_equal "$output" "$(cat "$OUT/bill")"
    in_image cat /root/buildinfo/purls.json
    assert_equal "$output" "$(cat "$OUT/purls")"
    berth image inspect --format '{{.Id}}' "localhost/$name-2"
    assert_equal "sha256:$output" "$(cat "$OUT/iid")"
    assert_equal "$(jq -r '."containerimage.config.digest"' "$OUT/meta")" "$(cat "$OUT/iid")"
    # Nothing of the scan is in the image but that.
    in_image sh -c 'ls -d /.scans /.rootfs /.context0 2>/dev/null; true'
    assert_equal "$output" ""
    berth image history --format '{{.CreatedBy}}' "localhost/$name"
    assert_contains "$output" "berth build --sbom"
}

@test "SPDX, one after the other, one command alone, a shell's command, the context alone" {
    scan spdx merge-spdx-by-package-name-and-versioninfo --sbom-output "$OUT/spdx" --sbom-purl-output "$OUT/purls"
    assert_equal "$(jq -r '.packages[].name' "$OUT/spdx" | sort | paste -sd,)" "liba,made,only-in-context"
    assert_equal "$(jq '.image_contents.dependencies | length' "$OUT/purls")" 3
    scan cyclonedx cat --sbom-output "$OUT/cat"
    assert_equal "$(jq -s length "$OUT/cat")" 2
    build --sbom-scanner-image localhost/scanner --sbom-scanner-command '/scan cyclonedx {ROOTFS} {OUTPUT}' --sbom-output "$OUT/one"
    assert_equal "$(jq '.components | length' "$OUT/one")" 2
    build --sbom-scanner-image localhost/scanner --sbom-scanner-command 'cat {CONTEXT}/c.pkg > {OUTPUT}' --sbom-output "$OUT/shell"
    assert_equal "$(cat "$OUT/shell")" "only-in-context 3"
}

@test "it is made again from cached steps, with other formats, squashed, without layers, and names nothing twice" {
    local how
    for how in "" --format=docker --squash-all --layers=false; do
        scan cyclonedx merge-cyclonedx-by-component-name-and-version --sbom-image-output bill.json ${how:+"$how"}
        in_image cat /bill.json /opt/b.pkg
        assert_contains "$output" '"only-in-context"'
        assert_contains "$output" "made 2"
    done
    berth_split build -q --network none --sbom-scanner-image localhost/scanner --sbom-scanner-command '/scan cyclonedx {ROOTFS} {OUTPUT}' --sbom-output "$OUT/q" "$CTX"
    [[ $output =~ ^[0-9a-f]{64}$ ]]
    assert_equal "$stderr" ""
}

@test "a scanner has no network, no new files outside its results, and the limits of a container" {
    local probe='{ ls /sys/class/net; touch {ROOTFS}/x; touch {CONTEXT}/x; grep -E "^(CapEff|Seccomp|NoNewPrivs):" /proc/self/status; id -u; } > {OUTPUT} 2>&1'
    build --sbom-scanner-image localhost/scanner --sbom-scanner-command "$probe || true" --sbom-output "$OUT/probe"
    cat "$OUT/probe"
    grep -qx lo "$OUT/probe"
    assert_equal "$(grep -vc '^lo$' <(sed '/touch\|Cap\|Seccomp\|NoNew\|^[0-9]*$/d' "$OUT/probe"))" 0
    assert_equal "$(grep -c 'Read-only\|Permission denied' "$OUT/probe")" 2
    grep -Eq '^Seccomp:[[:space:]]+2' "$OUT/probe"
    grep -qx 1000 "$OUT/probe"
    [[ ! -e $CTX/x ]]
}

@test "a scanner that fails, writes nothing, or a link to the host's files: no image, no file, nothing left" {
    local command
    echo secret-of-the-host >"$FILE_DIR/secret-$name"
    while IFS='|' read -r command want; do
        berth 125 build --network none -t "localhost/$name" --sbom-scanner-image localhost/scanner --sbom-scanner-command "$command" --sbom-output "$OUT/none" "$CTX"
        assert_contains "$output" "$want"
        [[ $output != *secret-of-the-host* && ! -e $OUT/none ]]
        berth 1 image exists "localhost/$name"
    done <<-X
	echo broken-scan; exit 3 # {ROOTFS}|exit code 3
	true {ROOTFS}|read its result
	ln -s $FILE_DIR/secret-$name {OUTPUT}; true {ROOTFS}|read its result
	mkfifo {OUTPUT}; true {ROOTFS}|it is not a regular file
	mkdir {OUTPUT}; true {ROOTFS}|it is not a regular file
	/no/such {ROOTFS} {OUTPUT}|/no/such
	echo {OUTPUT}|no command of the scanner says what to scan
	X
    berth 125 build --network none --sbom-scanner-image localhost/none-such --pull=never --sbom-scanner-command 'x {ROOTFS}' --sbom-output "$OUT/none" "$CTX"
    assert_contains "$output" "localhost/none-such"
    berth 125 build --sbom-scanner-image localhost/scanner --sbom-scanner-command 'x {ROOTFS}' "$CTX"
    assert_contains "$output" "--sbom-output"
    berth 125 build --sbom nonesuch --sbom-output "$OUT/none" "$CTX"
    assert_contains "$output" "nonesuch"
    berth 125 build --sbom-scanner-image localhost/scanner --sbom-scanner-command 'x {ROOTFS}' --sbom-output "$OUT/none" --manifest m "$CTX"
    assert_contains "$output" "not supported with --manifest"
    berth ps -aq
    assert_equal "$output" ""
    berth system check
    assert_equal "$output" ""
}
