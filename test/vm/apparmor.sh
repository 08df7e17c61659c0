#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# In the guest, as root and then as tester: what AppArmor keeps a container from.
# shellcheck disable=SC2016 # what is in quotes is for the container's shell
. "$(dirname "$0")/tap.bash"

berth load -q -i /opt/berth/busybox.tar || exit 1
work=$(mktemp -d)
trap 'berth rm -fa -t 0 >/dev/null; rm -rf "$work"' EXIT
root() { [ "$(id -u)" = 0 ]; }
run() { timeout -k 5 120 berth run --rm --network none "$@" 2>&1; }
profile=/proc/self/attr/current
default="containers-default-* (enforce)"

build() { # build [OPTION...] COMMAND: what the command says in a RUN
    printf 'FROM %s\nRUN echo "RUN: $(%s)"\n' "$IMAGE" "${*: -1}" >"$work/Containerfile"
    timeout 250 berth build --network none --no-cache "${@:1:$#-1}" "$work" 2>&1 | sed -n 's/^.*RUN: \(.*\)$/\1/p' | tail -n 1
}
# What no other part of the confinement forbids here: the profile alone does.
try_mount=(--cap-add SYS_ADMIN --security-opt seccomp=unconfined)
mounts='mount -t tmpfs none /tmp 2>/dev/null && echo mounted || echo refused'

ok "info tells of AppArmor" is "$(berth info --format '{{.Host.Security.AppArmorEnabled}}')" true
if root; then
    apparmor_parser -r <<'P'
profile berth-test flags=(attach_disconnected,mediate_deleted) {
  file, capability, network, umount, mount, signal, ptrace,
  deny /etc/group r,
}
P
    ok "the default profile confines run" like "$(run "$IMAGE" cat $profile)" "$default"
    ok "and RUN" like "$(build "cat $profile")" "$default"
    ok "and another user than root" like "$(run -u 1 "$IMAGE" cat $profile)" "$default"
    ok "a container of a while" berth run -d --name web --network none "$IMAGE" sleep 3600
    ok "it confines exec" like "$(berth exec web cat $profile)" "$default"
    ok "and a privileged exec" like "$(berth exec --privileged web cat $profile)" "$default"
    ok "inspect names it" like "$(berth inspect --format '{{.AppArmorProfile}}' web)" "containers-default-*"
    ok "it does not keep stop from the container" berth stop -t 10 web
    ok "it forgot nothing" is "$(berth inspect --format '{{.State.ExitCode}}' web)" 137
    loaded=$(sed -n 's/^\(containers-default-[^ ]*\) .*/\1/p' /sys/kernel/security/apparmor/profiles)
    echo -n "$loaded" >/sys/kernel/security/apparmor/.remove
    ok "a boot forgets the profile: start loads it again" berth start web
    ok "and it confines" like "$(berth exec web cat $profile)" "$default"
    berth rm -f -t 0 web
    ok "the profile forbids mounts" is "$(run "${try_mount[@]}" "$IMAGE" sh -c "$mounts")" refused
    ok "apparmor=unconfined does not" is "$(run "${try_mount[@]}" --security-opt apparmor=unconfined "$IMAGE" sh -c "$mounts")" mounted
    ok "apparmor=unconfined: no profile" is "$(run --security-opt apparmor=unconfined "$IMAGE" cat $profile)" unconfined
    ok "nor in RUN" is "$(build --security-opt apparmor=unconfined "cat $profile")" unconfined
    ok "--privileged: no profile" is "$(run --privileged "$IMAGE" cat $profile)" unconfined
    printf '[containers]\napparmor_profile = "berth-test"\n' >"$work/conf"
    ok "apparmor_profile of containers.conf" is "$(CONTAINERS_CONF=$work/conf run "$IMAGE" cat $profile)" "berth-test (enforce)"
    ok "counts for RUN" is "$(CONTAINERS_CONF=$work/conf build "cat $profile")" "berth-test (enforce)"
    printf '[containers]\napparmor_profile = ""\n' >"$work/conf"
    ok "none, if it is empty" is "$(CONTAINERS_CONF=$work/conf run "$IMAGE" cat $profile)" unconfined
    said=$(run --security-opt apparmor=not-loaded "$IMAGE" true)
    ok "one that is not loaded: an error that says so" like "$said" "*not-loaded*not loaded*Hint: *apparmor_parser*"
else
    ok "an ordinary user's containers have no profile" is "$(run "$IMAGE" cat $profile)" unconfined
    said=$(run --security-opt apparmor=not-loaded "$IMAGE" true)
    ok "one that is not loaded: an error that says so" like "$said" "*Hint: *apparmor_parser*"
fi
# root has loaded it, in the run before tester's
ok "a profile by its name" is "$(run --security-opt apparmor=berth-test "$IMAGE" cat $profile)" "berth-test (enforce)"
ok "it forbids what it forbids" like "$(run --security-opt apparmor=berth-test "$IMAGE" cat /etc/group)" "*ermission denied*"
ok "in RUN too" is "$(build --security-opt apparmor=berth-test 'cat /etc/group 2>/dev/null || echo refused')" refused
the_end
