#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What inspect says of a container, field by field.
load helpers

# shows WANT FORMAT [NAME]
shows() {
    berth inspect -f "$2" "${3:-$name}"
    assert_equal "$output" "$1"
}

@test "what was asked for at the creation is shown" {
    echo "1.2.3.4 base" >"$FILE_DIR/hosts-$name"
    berth create --name "$name" --dns 1.2.3.4 --dns-search a.b --dns-option ndots:2 --add-host x:1.2.3.4 --group-add 44 --tz UTC --umask 77 \
        --annotation a=b --systemd always --hostname hh "$IMAGE" true
    shows "[1.2.3.4] [a.b] [ndots:2] [x:1.2.3.4] [44]" '{{.HostConfig.Dns}} {{.HostConfig.DnsSearch}} {{.HostConfig.DnsOptions}} {{.HostConfig.ExtraHosts}} {{.HostConfig.GroupAdd}}'
    shows "UTC 0077 true" '{{.Config.Timezone}} {{.Config.Umask}} {{.Config.SystemdMode}}'
    shows "b" '{{.Config.Annotations.a}}'
    is_berth || return 0
    shows "b false false true" '{{.HostConfig.Annotations.a}} {{.UseImageHosts}} {{.UseImageHostname}} {{.Config.Passwd}}'
    berth tag "$IMAGE" "localhost/$name"
    berth run -d --name "$name-2" --no-hosts --no-hostname --passwd=false --rmi --chrootdirs /a --chrootdirs /b --volumes-from "$name" -P "localhost/$name" sleep 1000
    shows "true true false true [/a /b] [$name] true" \
        '{{.UseImageHosts}} {{.UseImageHostname}} {{.Config.Passwd}} {{.HostConfig.AutoRemoveImage}} {{.Config.ChrootDirs}} {{.HostConfig.VolumesFrom}} {{.HostConfig.PublishAllPorts}}' "$name-2"
    berth create --name "$name-3" --hosts-file "$FILE_DIR/hosts-$name" "$IMAGE" true
    shows "$FILE_DIR/hosts-$name" '{{.HostConfig.HostsFile}}' "$name-3"
    berth rm "$name" "$name-3"
    berth rm -f -t 0 "$name-2"
}

@test "what is the same for every container has podman's value" {
    berth create --name "$name" "$IMAGE" true
    shows "[] [] 0 0 0 0 0 0" '{{.HostConfig.Links}} {{.HostConfig.Devices}} {{.HostConfig.CpuCount}} {{.HostConfig.CpuPercent}} {{.HostConfig.IOMaximumIOps}} {{.HostConfig.IOMaximumBandwidth}} {{.HostConfig.DiskQuota}} {{.HostConfig.KernelMemory}}'
    shows "[0 0] [] oci" '{{.HostConfig.ConsoleSize}} [{{.HostConfig.Isolation}}] {{.HostConfig.Runtime}}'
    shows "[] 0 0 []" '[{{.NetworkSettings.IPv6Gateway}}] {{.NetworkSettings.GlobalIPv6PrefixLen}} {{.NetworkSettings.LinkLocalIPv6PrefixLen}} [{{.NetworkSettings.LinkLocalIPv6Address}}]'
    shows "[] [] 0" '{{.NetworkSettings.SecondaryIPAddresses}} {{.NetworkSettings.InspectBasicNetworkConfig.AdditionalMacAddresses}} {{.NetworkSettings.InspectBasicNetworkConfig.GlobalIPv6PrefixLen}}'
    shows "[] true false" '[{{.Config.DomainName}}] {{.Config.Passwd}} {{.IsService}}'
    shows "false true false" '{{.State.Checkpointed}} {{.State.CheckpointedAt.IsZero}} {{.State.Restored}}'
    berth inspect "$name"
    assert_contains "$output" '"CheckpointedAt": "0001-01-01T00:00:00Z"'
    assert_contains "$output" '"Links": null'
    local gone
    for gone in '"Checkpointed"' '"CgroupPath"' '"StoppedByUser"' '"Secrets"' '"IDMappings"' '"SystemdMode"' '"Timezone"' '"ConmonPid"'; do [[ $output != *"$gone"* ]]; done
    is_berth || return 0
    shows "invalid local 5 500 none <nil>" '{{.KubeExitCodePropagation}} {{.Config.HealthLogDestination}} {{.Config.HealthMaxLogCount}} {{.Config.HealthMaxLogSize}} {{.Config.HealthcheckOnFailureAction}} {{.Config.StartupHealthCheck}}'
    berth inspect -f '{{json .Config}}' "$name"
    assert_contains "$output" '"HealthcheckMaxLogCount":5'
    assert_contains "$output" '"sdNotifyMode":"container"'
    [[ $output != *seccomp_bpf* ]]
}

@test "the fields of inspect are in podman's order" {
    keys() { "$ENGINE" inspect "$name" 3>&- | jq -r ".[0]$1 | keys_unsorted[]"; }
    berth create --name "$name" -v /tmp:/mnt "$IMAGE" true
    [[ "$(keys .HostConfig | grep -E '^(Binds|AutoRemove|Dns|Links|ShmSize|ConsoleSize|CpuShares|Devices|PidsLimit|CgroupConf)$' | xargs)" == \
        "Binds AutoRemove Dns Links ShmSize ConsoleSize CpuShares Devices PidsLimit CgroupConf" ]]
    [[ "$(keys '' | grep -E '^(Id|State|Image|Name|Mounts|NetworkSettings|IsInfra|Config|HostConfig)$' | xargs)" == \
        "Id State Image Name Mounts NetworkSettings IsInfra Config HostConfig" ]]
}

@test "namespaces: whose they are, and how IDs are mapped" {
    berth create --name "$name" "$IMAGE" true
    shows "shareable private private []" '{{.HostConfig.IpcMode}} {{.HostConfig.PidMode}} {{.HostConfig.UTSMode}} [{{.HostConfig.UsernsMode}}]'
    local host=(--uts host)
    if is_berth; then host+=(--ipc host --pid host); fi # podman 4.3 wants a /dev/mqueue and a cgroup
    berth create --name "$name-2" "${host[@]}" "$IMAGE" true
    shows "host" '{{.HostConfig.UTSMode}}' "$name-2"
    if is_berth; then shows "host host" '{{.HostConfig.IpcMode}} {{.HostConfig.PidMode}}' "$name-2"; fi
    berth create --name "$name-3" --uidmap 0:0:1000 --uidmap 1000:1001:5 "$IMAGE" true
    shows "private" '{{.HostConfig.UsernsMode}}' "$name-3"
    is_berth || return 0 # podman 4.3 has neither
    local maps="0:0:1000 1000:1001:5"
    if is_rootless; then maps="0:0:1 1:1:999 1000:1001:5"; fi # the caller's own ID and those of /etc/subuid
    shows "[$maps] [$maps]" '{{.HostConfig.IDMappings.UIDMap}} {{.HostConfig.IDMappings.GIDMap}}' "$name-3"
    berth inspect -f '{{.Id}}' "$name"
    local id=$output
    berth create --name "$name-4" --ipc "container:$name" --pid "container:$name" --uts "container:$name" "$IMAGE" true
    shows "container:$id container:$id container:$id [$id]" '{{.HostConfig.IpcMode}} {{.HostConfig.PidMode}} {{.HostConfig.UTSMode}} {{.Dependencies}}' "$name-4"
    berth create --name "$name-5" --ipc private "$IMAGE" true
    shows private '{{.HostConfig.IpcMode}}' "$name-5"
}

@test "ports that are exposed, published or not" {
    berth create --name "$name" -p 127.0.0.1:18080:80 --expose 99/udp --expose 200-201 "$IMAGE" true
    berth inspect -f '{{json .NetworkSettings.Ports}}' "$name"
    assert_equal "$output" '{"200/tcp":null,"201/tcp":null,"80/tcp":[{"HostIp":"127.0.0.1","HostPort":"18080"}],"99/udp":null}'
    is_berth || return 0
    shows '{"200/tcp":{},"201/tcp":{},"80/tcp":{},"99/udp":{}}' '{{json .Config.ExposedPorts}}'
    shows '{"80/tcp":[{"HostIp":"127.0.0.1","HostPort":"18080"}]}' '{{json .HostConfig.PortBindings}}'
    berth create --name "$name-2" --network host --expose 99 "$IMAGE" true
    shows '{} {"99/tcp":{}}' '{{json .NetworkSettings.Ports}} {{json .Config.ExposedPorts}}' "$name-2"
}

@test "health checks and startup checks, by podman's names" {
    berth create --name "$name" --health-cmd true --health-interval 2h --health-retries 7 --health-start-period 5s "$IMAGE" true
    shows '{"Test":["CMD-SHELL","true"],"StartPeriod":5000000000,"Interval":7200000000000,"Timeout":30000000000,"Retries":7}' '{{json .Config.Healthcheck}}'
    is_berth || return 0
    berth create --name "$name-2" --health-cmd true --health-startup-cmd false --health-startup-success 3 --health-startup-interval 4s \
        --health-log-destination events_logger --health-max-log-count 0 --health-max-log-size 9 --health-on-failure kill "$IMAGE" true
    shows "[CMD-SHELL false] 3 4s 4s events_logger 0 9 kill" '{{with .Config.StartupHealthCheck}}{{.Test}} {{.Successes}} {{.Interval}} {{.Schema2HealthConfig.Interval}}{{end}} {{.Config.HealthLogDestination}} {{.Config.HealthMaxLogCount}} {{.Config.HealthMaxLogSize}} {{.Config.HealthcheckOnFailureAction}}' "$name-2"
}

@test "HEALTHCHECK --start-interval: until the container is healthy, or its start is over" {
    is_berth || skip "podman ignores it"
    mkdir "$FILE_DIR/c-$name"
    printf 'FROM %s\nHEALTHCHECK --interval=1h --start-period=1m --start-interval=600ms CMD test -e /ready\n' "$IMAGE" >"$FILE_DIR/c-$name/Containerfile"
    berth build -q --format docker -t "localhost/$name" "$FILE_DIR/c-$name"
    berth run -d --name "$name" "localhost/$name" sh -c 'sleep 1; touch /ready; sleep 100'
    shows 600ms '{{.Config.Healthcheck.StartInterval}}'
    healthy() { [[ $("$ENGINE" inspect -f '{{.State.Health.Status}}' "$name" 3>&-) == healthy ]]; }
    wait_for 10 healthy
    berth rm -f -t 0 "$name"
    berth rmi "localhost/$name"
}

@test "of a container that runs: its cgroup, its lock, where messages to systemd go" {
    is_berth || skip "podman numbers its locks"
    berth run -d --name "$name" "$IMAGE" sleep 100
    berth inspect -f '{{.LockNumber}}' "$name"
    grep -q ":$output " /proc/locks
    berth inspect -f '{{.State.CgroupPath}} {{.State.Pid}}' "$name"
    local path=${output% *} pid=${output##* }
    if [[ -n $path ]]; then grep -q ":$path" "/proc/$pid/cgroup"; fi
    if ! is_rootless; then [[ -n $path ]]; fi
    berth stop -t 0 "$name"
    shows "[]" '[{{.State.CgroupPath}}]'
}

@test "devices are shown to root" {
    is_rootless && skip "without root devices are bound, and podman shows none"
    berth create --name "$name" --device /dev/fuse --device /dev/null:/dev/xx:r "$IMAGE" true
    shows '[{"PathOnHost":"/dev/fuse","PathInContainer":"/dev/fuse","CgroupPermissions":""},{"PathOnHost":"/dev/null","PathInContainer":"/dev/xx","CgroupPermissions":""}]' '{{json .HostConfig.Devices}}'
    berth create --name "$name-2" --privileged "$IMAGE" true
    shows '[]' '{{json .HostConfig.Devices}}' "$name-2"
}
