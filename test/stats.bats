#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# `stats`: what containers use.
load helpers

@test "stats: the columns are podman's, and only running containers are shown" {
    berth run -d --name "$name" --network none "$IMAGE" sleep 1000
    berth create --name "$name-2" --network none "$IMAGE" sleep 1000
    berth stats --no-stream
    [[ ${lines[0]} =~ ^ID\ +NAME\ +CPU\ %\ +MEM\ USAGE\ /\ LIMIT\ +MEM\ %\ +NET\ IO\ +BLOCK\ IO\ +PIDS\ +CPU\ TIME\ +AVG\ CPU\ %$ ]]
    assert_contains "$output" "$name"
    not assert_contains "$output" "$name-2"
    berth stats --no-stream --all --format '{{.Name}} {{.PIDS}}'
    assert_contains "$output" "$name 1"
    assert_contains "$output" "$name-2 0"
    berth stats --no-stream --format '{{.ID}} {{.ContainerID}} {{.MemUsage}} {{.MemUsageBytes}} {{.MemPerc}} {{.CPUPerc}} {{.AVGCPU}} {{.NetIO}} {{.BlockIO}} {{.UpTime}} {{.Up}} {{.PIDs}} {{.CPUNano}} {{.CPUSystemNano}} {{.SystemNano}} {{.PerCPU}} {{.Network}} {{.AvgCPU}} {{.Duration}} {{.MemLimit}} {{.BlockInput}} {{.BlockOutput}} {{.ContainerStats.MemUsage}} {{.CPUPressure}}' "$name"
    [[ $output =~ ^[0-9a-f]{12}\ [0-9a-f]{64}\ [0-9.]+[kM]?B\ /\ [0-9.]+[GT]B ]]
    berth stats --no-stream --no-trunc --format '{{.ID}}' "$name"
    [[ $output =~ ^[0-9a-f]{64}$ ]]
    berth rm -f -t 0 "$name" "$name-2"
}

@test "stats --format json: podman's names" {
    berth run -d --name "$name" --network none "$IMAGE" sleep 1000
    berth stats --no-stream --format json "$name"
    [[ $(jq -r '.[0] | [.name, .pids] | join(" ")' <<<"$output") == "$name 1" ]]
    [[ $(jq -r '.[0] | keys_unsorted | .[0:10] | join(" ")' <<<"$output") == "id name cpu_time cpu_percent avg_cpu mem_usage mem_percent net_io block_io pids" ]]
    berth rm -f -t 0 "$name"
}

@test "stats: a busy container uses a CPU, one with memory has it, processes are counted" {
    berth run -d --name "$name" --network none "$IMAGE" sh -c 'sleep 1000 & sleep 1000 & while :; do :; done'
    sleep 2
    berth stats --no-stream --format '{{.CPU}} {{.PIDs}} {{.CPUNano}}' "$name"
    read -r cpu pids nano <<<"$output"
    [[ ${cpu%.*} -ge 5 && $pids -eq 3 && $nano -gt 100000000 ]]
    berth rm -f -t 0 "$name"
    berth run -d --name "$name" --network none --tmpfs /t "$IMAGE" sh -c 'x=$(head -c 20000000 /dev/zero | tr "\0" x); sleep 1000; echo $x'
    wait_for 20 uses_memory "$name"
    berth rm -f -t 0 "$name"
}
uses_memory() { [[ $("$ENGINE" stats --no-stream --format '{{.ContainerStats.MemUsage}}' "$1" 3>&-) -gt 20000000 ]]; }

@test "stats: the limit of memory is the container's" {
    if is_rootless && [[ ! -e /sys/fs/cgroup/cgroup.controllers ]]; then skip "no limits here"; fi
    berth run -d --name "$name" --network none --memory 64m "$IMAGE" sleep 1000
    berth stats --no-stream --format '{{.MemLimit}}' "$name"
    assert_equal "$output" 67108864
    berth rm -f -t 0 "$name"
}

@test "stats: the bytes of the network" {
    berth run -d --name "$name" "$IMAGE" sleep 1000
    berth stats --no-stream --format '{{.NetIO}} {{range $n, $s := .Network}}{{$n}} {{$s.RxBytes}}{{end}}' "$name"
    [[ $output == *" / "* ]]
    berth rm -f -t 0 "$name"
    berth run -d --name "$name" --network host "$IMAGE" sleep 1000
    berth stats --no-stream --format '{{.NetIO}}' "$name"
    assert_equal "$output" "0B / 0B"
    berth rm -f -t 0 "$name"
}

@test "stats: a stream, until it is interrupted; names and flags that do not go together" {
    berth run -d --name "$name" --network none "$IMAGE" sleep 1000
    run timeout -s INT 4 "$ENGINE" stats --interval 1 --format '{{.Name}}' "$name" 3>&-
    [[ ${#lines[@]} -ge 2 && ${lines[0]} == "$name" ]]
    berth 125 stats --no-stream nosuch
    assert_contains "$output" "nosuch"
    berth 125 stats --all "$name"
    assert_contains "$output" "cannot be used together"
    berth container stats --no-stream --latest --format '{{.Name}}'
    assert_equal "$output" "$name"
    berth rm -f -t 0 "$name"
}
