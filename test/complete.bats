#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# once: user
# What the shells complete: commands, flags and their values, names, filter keys, formats. Only Berth's own.
load helpers

setup() {
    test_setup
    berth run -d --name up-1 "$IMAGE" sleep 1000
    berth create --name down-1 "$IMAGE" true
    berth volume create --ignore data-1
}

# complete WORD...: what the shells are told for a line whose last word is begun: the words in $output, what is to be done in $directive.
complete() {
    berth_split __completeNoDesc "$@"
    directive=${output##*:}
    output=$(sed '$d' <<<"$output" | sort)
}

# offers WORD... -- LINE...: those, and no others.
offers() {
    local want=()
    while [[ $1 != -- ]]; do want+=("$1"); shift; done
    shift
    complete "$@"
    assert_equal "$output" "$(printf '%s\n' "${want[@]}" | sort)"
}

@test "commands, of both programs" {
    offers stop -- sto
    offers pull push -- pu
    complete container ""
    for c in run ps exists commit; do grep -qx $c <<<"$output"; done
    offers pull push -- image pu
    complete ""
    for c in run build images volume partial; do grep -qx "$c" <<<"$output"; done
    berth_split __complete "sto"
    [[ ${lines[0]} == $'stop\tStop one or more running containers' ]]
}

@test "flags, with and without global ones before" {
    offers --time -- stop --ti
    offers --time -- --log-level debug stop --ti
    offers --platform -- pull --pl
    offers --squash -- container commit --sq
}

@test "containers, those that the command can do something with" {
    offers down-1 up-1 -- rm ""
    offers up-1 -- stop ""
    offers down-1 -- start ""
    offers up-1 -- container stop u
    offers down-1 -- rm up-1 ""
    offers up-1 -- logs u
    complete rename up-1 ""
    assert_equal "$output:$directive" ":4" # a name, and no file
    complete exec up-1 ""
    assert_equal "$output:$directive" ":0" # a program
    berth inspect --format '{{.Id}}' up-1
    id=$output
    offers "${id:0:12}" -- rm "${id:0:4}"
    berth_split __complete stop u
    [[ ${lines[0]} == $'up-1\t'"$IMAGE" ]]
}

@test "of another store, if the line says so" {
    offers -- --root "$FILE_DIR/none" rm ""
}

@test "images by their whole names, their last parts and IDs" {
    offers "$IMAGE" -- run ""
    offers busybox:latest -- run bu
    offers "$IMAGE" -- image rm loc
    offers "$IMAGE" -- push loc
    offers busybox:latest -- images bu
    berth images -q
    offers "$output" -- rmi "${output:0:4}"
    complete run "$IMAGE" ""
    assert_equal "$output:$directive" ":0"
    complete inspect ""
    for w in down-1 up-1 "$IMAGE"; do grep -qx "$w" <<<"$output"; done
}

@test "volumes" {
    offers data-1 -- volume rm ""
    offers data-1 -- volume inspect d
    offers data-1: -- run -v d
    complete run --volume /t
    assert_equal "$output:$directive" ":0"
    complete volume create ""
    assert_equal "$output:$directive" ":4"
}

@test "the values of flags: what the help lists, signals, namespaces of containers" {
    offers always missing never newer -- run --pull ""
    offers never newer -- create --pull=ne
    offers on-failure -- run --restart on
    offers container: -- run --network con
    assert_equal "$directive" 6 # no space, no files
    offers container:up-1 -- run --network container:u
    offers podman -- run --network pod
    offers podman -- network inspect p
    offers SIGHUP -- kill --signal SIGH
    offers created command -- ps --sort c
    offers container -- inspect --type c
    complete run --env-file ""
    assert_equal "$output:$directive" ":0"
}

@test "secrets, and how a container has them" {
    echo x | berth secret create key-1 -
    offers key-1 -- run --secret ""
    offers key-1,type=env key-1,type=mount -- create --secret key-1,type=
    offers key-1,uid=1,gid= key-1,uid=1,mode= key-1,uid=1,target= key-1,uid=1,type= -- run --secret key-1,uid=1,
    assert_equal "$directive" 6
    complete build --secret ""
    assert_equal "$output:$directive" ":0"
    berth secret rm key-1
}

@test "filter keys, and their values" {
    offers label= label!= -- ps --filter l
    assert_equal "$directive" 6
    offers status=paused -- ps -f status=p
    offers "ancestor=busybox:latest" -- ps --filter ancestor=b
    offers volume=data-1 -- ps --filter=volume=
    offers before=down-1 -- ps --filter before=d
    offers since=down-1 since=up-1 -- ps --filter since=
    offers "since=busybox:latest" -- images --filter since=b
    offers "before=$IMAGE" -- image prune --filter before=
    offers after=data-1 -- volume ls --filter after=
    offers dangling= driver= -- volume ls --filter d
    offers dangling=false dangling=true -- images --filter dangling=
    offers until= -- image prune --filter u
    offers event= -- events --filter e
}

@test "formats" {
    offers json "{{." -- ps --format ""
    offers "{{.Names}}" "{{.Namespaces." -- ps --format "{{.Na"
    offers "{{.State.StoppedByUser}}" -- container inspect --format "{{.State.Sto"
    offers "table {{.Repository}}\\t{{.Tag}}" -- images --format "table {{.Repository}}\\t{{.Ta"
    offers "{{.Client.Version}}" -- version --format "{{.Client.V"
    offers "{{.Mountpoint}}" -- volume inspect -f "{{.Mountp"
}

@test "bash, in a terminal" {
    run -0 "$HELPERS_DIR/typed" $'berth sto\tu\t' bash --norc --noprofile -i <<<"PATH=$PATH; . /usr/share/bash-completion/bash_completion; . <(berth completion bash)"
    assert_equal "$output" "berth stop up-1"
    run -0 "$HELPERS_DIR/typed" $'berth run --network cont\tu\tbus\t' bash --norc --noprofile -i <<<"PATH=$PATH; . /usr/share/bash-completion/bash_completion; . <(berth completion bash)"
    assert_equal "$output" "berth run --network container:up-1 busybox:latest"
    run -0 "$HELPERS_DIR/typed" $'berth ps --filter ancest\tbus\t--format {{.RunningF\t' bash --norc --noprofile -i <<<"PATH=$PATH; . /usr/share/bash-completion/bash_completion; . <(berth completion bash)"
    assert_equal "$output" "berth ps --filter ancestor=busybox:latest --format {{.RunningFor}}"
}

@test "zsh, in a terminal" {
    run -0 "$HELPERS_DIR/typed" $'berth sto\tu\t' zsh -f -i <<<"PATH=$PATH; autoload -U compinit && compinit -D; . <(berth completion zsh)"
    assert_equal "$output" "berth stop up-1"
}

@test "fish" {
    run -0 fish --no-config -c "set PATH $(printf '%q ' ${PATH//:/ }); berth completion fish | source; complete -C 'berth stop u'"
    assert_equal "${lines[0]}" $'up-1\t'"$IMAGE"
}
