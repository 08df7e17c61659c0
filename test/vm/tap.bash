# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# A few lines of TAP for the scripts that run in a guest, where bats would start too many
# processes (without KVM each costs some 30 times what it costs here).
PATH=/opt/berth/bin:$PATH
IMAGE=localhost/busybox:latest
tests=0 failures=0

# ok WHAT CMD ARG...: a test; it passes if CMD does. What CMD said is shown if not.
ok() {
    local what=$1 said rc=0
    shift
    tests=$((tests + 1))
    said=$("$@" 2>&1) || rc=$?
    if [ $rc = 0 ]; then echo "ok $tests $what"; return; fi
    failures=$((failures + 1))
    echo "not ok $tests $what"
    printf '# %s\n' "$(printf '%q ' "$@"): exit code $rc"
    [ -z "$said" ] || printf '%s\n' "$said" | sed 's/^/# /'
}

# is GOT WANT, like TEXT PATTERN (a glob): they say what they got if they fail.
is() { [ "$1" = "$2" ] || { echo "got '$1', want '$2'"; return 1; }; }
# shellcheck disable=SC2053
like() { [[ $1 == $2 ]] || { echo "got '$1', want '$2'"; return 1; }; }

# exits CODE CMD ARG...: CMD ends with CODE.
exits() { local want=$1 rc=0; shift; "$@" || rc=$?; is "$rc" "$want"; }

# retry SECONDS CMD ARG...: until CMD succeeds.
retry() {
    local end=$((SECONDS + $1))
    shift
    until "$@"; do [ $SECONDS -lt $end ] || return 1; sleep 0.5; done
}

# clean_or_repaired: system check finds nothing, or nothing more after --repair.
clean_or_repaired() { berth system check || { berth system check --repair && berth system check; }; }

the_end() { echo "1..$tests"; exit $((failures > 0)); }
