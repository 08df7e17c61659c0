#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# RUN is confined as `run` is: what the OCI runtime is told is the same for both, but for what a RUN instruction is (docs/decisions/0028).
load helpers

setup_file() {
    store_setup
    # An OCI runtime that keeps what it is told. It is named as the real one, so that Berth takes it for that.
    mkdir "$FILE_DIR/rt"
    cat >"$FILE_DIR/rt/crun" <<-X
	#!/bin/bash
	bundle= before=
	for a in "\$@"; do [[ \$before != --bundle ]] || bundle=\$a; before=\$a; done
	[[ -z \$bundle ]] || cp "\$bundle/config.json" "$FILE_DIR/told.json"
	exec $(type -P crun) "\$@"
	X
    chmod +x "$FILE_DIR/rt/crun"
}

setup() {
    test_setup
    CTX=$FILE_DIR/ctx-$name
    mkdir -p "$CTX"
}

teardown() {
    test_teardown
    [[ ! -e $FILE_DIR/conf/own.conf ]] || { rm "$FILE_DIR/conf/own.conf"; : >"$CONTAINERS_CONF"; }
}

# containerfile: $CTX/Containerfile from standard input.
containerfile() { cat >"$CTX/Containerfile"; }

# told FILE FLAG...: what the runtime was told, where the file is to be compared. What is meant to differ is taken out, and nothing else:
# - the command, its environment, the root, the host name: what a container and a RUN are
# - the names of the cgroup and of the network namespace: RUN's is made by the runtime
# - where the files are that lie over /etc/hosts and the like; a RUN without a network has the image's /etc/hosts and /etc/resolv.conf
told() {
    python3 - "$FILE_DIR/told.json" "${@:2}" >"$1" <<-'X'
	import json, sys
	s = json.load(open(sys.argv[1]))
	for k in "args", "env": del s["process"][k]
	del s["root"]["path"]
	s.pop("hostname", None)
	if s["linux"].get("cgroupsPath"):
	    s["linux"]["cgroupsPath"] = s["linux"]["cgroupsPath"].rsplit("/", 1)[0].rsplit(":", 1)[0]
	for n in s["linux"]["namespaces"]:
	    if n["type"] == "network": n.pop("path", None)
	if "none" in sys.argv[2:]:
	    s["mounts"] = [m for m in s["mounts"] if m["destination"] not in ("/etc/hosts", "/etc/resolv.conf")]
	for m in s["mounts"]:
	    if m["destination"] in ("/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/run/.containerenv"): m["source"] = ""
	print(json.dumps(s, indent=1, sort_keys=True))
	X
}

# same FLAG...: `run FLAG...` and a RUN of `build FLAG...` are told the same. $USER_IS is the user of both.
same() {
    echo "same $*"
    rm -f "$FILE_DIR"/told.*
    berth --runtime "$FILE_DIR/rt/crun" run --rm -u "${USER_IS:-0}" "$@" $IMAGE true
    told "$FILE_DIR/run.json" "$@"
    rm -f "$FILE_DIR"/told.*
    printf 'FROM %s\nUSER %s\nRUN true\n' "$IMAGE" "${USER_IS:-0}" >"$CTX/Containerfile"
    berth --runtime "$FILE_DIR/rt/crun" build -q --no-cache "$@" "$CTX"
    told "$FILE_DIR/build.json" "$@"
    diff "$FILE_DIR/run.json" "$FILE_DIR/build.json"
}

@test "the OCI runtime is told the same for run and for RUN" {
    same
    same --network host
    same --network none --pid host --ipc host --uts host
    same --network none --cap-add SYS_PTRACE --cap-drop CHOWN --ulimit nofile=100:200 --ulimit core=0 --shm-size 16m --security-opt no-new-privileges \
        --security-opt mask=/proc/version --security-opt unmask=/proc/acpi
    USER_IS=1000:1000 same --network none --cap-drop ALL --security-opt seccomp=unconfined
    is_rootless || same --network none --memory 64m --cpu-shares 200 --device /dev/fuse
}

@test "what containers.conf says of run it says of RUN" {
    cat >"$CONTAINERS_CONF" <<-X
	[containers]
	umask = "0027"
	pids_limit = 77
	oom_score_adj = 500
	default_ulimits = ["nofile=300:400"]
	default_sysctls = ["net.ipv4.ip_unprivileged_port_start=80"]
	default_capabilities = ["CHOWN", "SETUID"]
	shm_size = "12m"
	X
    touch "$FILE_DIR/conf/own.conf"
    same --network none
    grep -q '"umask": 23' "$FILE_DIR/build.json"
    grep -q '"soft": 300' "$FILE_DIR/build.json"
    is_rootless || grep -q '"limit": 77' "$FILE_DIR/build.json"
}

@test "RUN cannot write to cgroups, nor see the host's" {
    containerfile <<-X
	FROM $IMAGE
	RUN find /sys/fs/cgroup -name cgroup.procs | while read f; do echo \$\$ >\$f && echo WRO""TE \$f; mkdir \${f%/*}/evil && echo MA""DE \$f; done; true
	RUN find /sys/fs/cgroup -maxdepth 3 | grep -e /berth -e user.slice -e system.slice | sed 's/^/SEEN /'; true
	X
    berth build --no-cache --network none "$CTX"
    [[ $output != *WROTE* && $output != *MADE* && $output != *$'\n'"SEEN /"* ]]
    ! is_rootless || [[ -z $(find /sys/fs/cgroup -name evil 2>/dev/null) ]]
    berth build --no-cache --network host "$CTX"
    [[ $output != *WROTE* && $output != *MADE* ]]
}

@test "RUN cannot make more processes than a container can" {
    is_rootless && skip "on cgroups v1 a user has no cgroups"
    printf '[containers]\npids_limit = 20\n' >"$CONTAINERS_CONF"
    touch "$FILE_DIR/conf/own.conf"
    containerfile <<-X
	FROM $IMAGE
	RUN for i in \$(seq 60); do sleep 100 & done; true
	X
    berth 2 build --no-cache --network none "$CTX"
    [[ $output == *"can't fork"* ]]
    : >"$CONTAINERS_CONF"
    berth build --no-cache --network none "$CTX"
}

@test "a mount of RUN does not take the runtime's view of /proc away (CVE-2019-16884)" {
    local target mount
    for target in /proc /proc/self/attr /x/../proc; do
        for mount in bind tmpfs; do
            printf 'FROM %s\nRUN --mount=type=%s,target=%s true\n' "$IMAGE" $mount $target | containerfile
            berth 1 build --no-cache --network none "$CTX"
            [[ $output == *"must not be in /proc"* ]]
        done
    done
}

@test "files of RUN do not depend on the umask of the caller" {
    containerfile <<-X
	FROM $IMAGE
	RUN touch /f && stat -c %a /f
	X
    output=$(umask 077 && timeout 60 "$ENGINE" build --no-cache --network none "$CTX" 2>&1 3>&-)
    echo "$output"
    grep -qx 644 <<<"$output"
}

@test "RUN in a chroot has the capabilities, system calls and masks of a container" {
    containerfile <<-X
	FROM $IMAGE
	RUN grep -e Cap -e NoNewPrivs -e ^Seccomp: /proc/self/status
	RUN wc -c </proc/keys; cat /proc/timer_list | wc -c; touch /proc/sys/kernel/domainname; true
	X
    berth build --no-cache --isolation chroot --security-opt no-new-privileges "$CTX"
    local caps
    caps=$(grep -o 'CapEff:.*' <<<"$output")
    [[ $output == *"NoNewPrivs:"$'\t1'* && $output == *"Seccomp:"$'\t2'* ]]
    berth run --rm --network none $IMAGE grep CapEff /proc/self/status
    assert_equal "$output" "$caps"
}

@test "--cgroup-parent: the cgroup of RUN is in it, and gone afterwards" {
    is_rootless && skip "on cgroups v1 a user has no cgroups"
    containerfile <<-X
	FROM $IMAGE
	RUN true
	X
    berth --runtime "$FILE_DIR/rt/crun" build --no-cache -q --network none --cgroup-parent "/parent-$name" "$CTX"
    grep -q "\"cgroupsPath\":\"/parent-$name/berth-build-" "$FILE_DIR/told.json"
    [[ -z $(find /sys/fs/cgroup -path "*/parent-$name/*" -type d 2>/dev/null) ]]
    find /sys/fs/cgroup -name "parent-$name" -depth -type d -exec rmdir {} + 2>/dev/null || true
}

@test "limits of build that make no sense are refused, as those of run" {
    echo "FROM $IMAGE" | containerfile
    berth 125 build --memory 1m "$CTX"
    [[ $output == *"at least 6m"* ]]
    berth 125 build --memory-swap 64m "$CTX"
    [[ $output == *"needs --memory"* ]]
}

@test "the helper that runs RUN runs nothing where it is not told how to confine it" {
    mkdir -p "$CTX/buildah1"
    echo "{\"BundlePath\":\"$CTX/buildah1\",\"Spec\":{\"process\":{\"args\":[\"/bin/touch\",\"$CTX/ran\"]},\"root\":{\"path\":\"/\"},\"linux\":{}}}" >"$CTX/options"
    local helper
    for helper in buildah-oci-runtime buildah-chroot-runtime; do
        run -1 bash -c "exec -a $helper $(dirname "$ENGINE")/berth-full 3<$CTX/options"
        [[ $output == *"how RUN is confined"* ]]
    done
    [[ ! -e $CTX/ran ]]
}
