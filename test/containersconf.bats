#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# containers.conf(5): each key that Berth honours, under a comment with its name (libctr/confkeys_test.go looks for them);
# the rest, which `info` names; and which file decided what.

load helpers

# conf TEXT...: containers.conf for the next commands, a line an argument.
conf() { printf '%s\n' "$@" >"$CONTAINERS_CONF"; }
teardown() { containers_conf >"$CONTAINERS_CONF"; test_teardown; }

# honoured WANT KEY=VALUE ARG...: `run --rm ARG...` with that key in [containers] prints WANT.
honoured() {
    conf '[containers]' "$2"
    berth run --rm --network none "${@:3}"
    assert_equal "$output" "$1"
}

@test "containers: what a process sees" {
    # containers.env
    honoured value 'env = ["NAME=value"]' $IMAGE sh -c 'echo $NAME'
    # containers.env_host
    HOSTVAR=here honoured here 'env_host = true' $IMAGE sh -c 'echo $HOSTVAR'
    # containers.http_proxy
    conf '[containers]' 'http_proxy = false'
    https_proxy=http://proxy.example berth run --rm --network none $IMAGE sh -c 'echo [$https_proxy]'
    assert_equal "$output" '[]'
    # containers.umask
    honoured 0077 'umask = "0077"' $IMAGE sh -c umask
    # containers.oom_score_adj
    honoured 900 'oom_score_adj = 900' $IMAGE cat /proc/self/oom_score_adj
    # containers.default_ulimits
    honoured 77 'default_ulimits = ["nofile=77:88"]' $IMAGE sh -c 'ulimit -n'
    honoured 66 'default_ulimits = ["nofile=77:88"]' --ulimit nofile=66 $IMAGE sh -c 'ulimit -n'
    # containers.default_capabilities
    honoured 0000000000000001 'default_capabilities = ["CHOWN"]' $IMAGE sed -n 's/^CapEff:\t//p' /proc/self/status
    # containers.read_only
    honoured ro 'read_only = true' $IMAGE sh -c 'touch /x 2>/dev/null || echo ro'
    # containers.privileged
    honoured "$(berth run --rm --privileged --network none $IMAGE grep ^CapBnd /proc/self/status | grep ^CapBnd)" 'privileged = true' $IMAGE grep ^CapBnd /proc/self/status
    # containers.shm_size
    honoured 1024 'shm_size = "1m"' $IMAGE sh -c 'df -k /dev/shm | awk "END { print \$2 }"'
    # containers.devices
    honoured yes 'devices = ["/dev/null:/dev/mine", "/dev/no-such-device"]' $IMAGE sh -c 'test -c /dev/mine && echo yes'
    # containers.apparmor_profile
    # Where AppArmor is not enabled, and for an ordinary user, the default is dropped; test/vm/apparmor.sh has the rest.
    if is_rootless || ! grep -qs Y /sys/module/apparmor/parameters/enabled; then
        honoured yes 'apparmor_profile = "no-such-profile"' $IMAGE echo yes
    fi
    # containers.label
    # containers.label_users
    # They change nothing where there is no SELinux; libctr/selinux_test.go has what they do.
    if [[ ! -e /sys/fs/selinux/enforce ]]; then
        honoured yes 'label = true' --security-opt label=type:container_t $IMAGE echo yes
        honoured yes 'label_users = true' $IMAGE echo yes
    fi
    # containers.seccomp_profile
    printf '{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["chmod","fchmodat","fchmodat2"],"action":"SCMP_ACT_ERRNO"}]}' >"$FILE_DIR/seccomp.json"
    honoured refused "seccomp_profile = \"$FILE_DIR/seccomp.json\"" $IMAGE sh -c 'chmod 700 /tmp 2>/dev/null || echo refused'
}

@test "containers: no_new_privileges, for run and RUN, and flags over it" {
    local see='sed -n "s/^NoNewPrivs:\t//p" /proc/self/status'
    # containers.no_new_privileges
    # IN containers.conf | FLAG | NoNewPrivs
    while IFS='|' read -r conf flag want; do
        honoured "$want" "$conf" $flag $IMAGE sh -c "$see"
        printf 'FROM %s\nRUN echo nnp=$(%s)\n' $IMAGE "$see" >"$FILE_DIR/Containerfile"
        berth build --no-cache $flag -f "$FILE_DIR/Containerfile" "$FILE_DIR/conf"
        assert_contains "$output" "nnp=$want"
    done <<'X'
||0
no_new_privileges = false||0
no_new_privileges = true||1
no_new_privileges = true|--security-opt no-new-privileges=false|0
no_new_privileges = true|--security-opt no-new-privileges:false|0
no_new_privileges = false|--security-opt no-new-privileges|1
no_new_privileges = false|--security-opt no-new-privileges=true|1
X
    # A later file overrides an earlier one, and info names the one that decided.
    mkdir -p "$HOME/.config/containers/containers.conf.modules"
    printf '[containers]\nno_new_privileges = false\n' >"$HOME/.config/containers/containers.conf.modules/off.conf"
    conf '[containers]' 'no_new_privileges = true'
    berth --module off.conf run --rm --network none $IMAGE sh -c "$see"
    assert_equal "$output" 0
    berth info --format '{{range .Config.Settings}}{{.Name}}={{.Value}} {{.DecidedBy}}{{println}}{{end}}'
    assert_contains "$output" "containers.no_new_privileges=true $CONTAINERS_CONF"
    conf '[containers]' 'no_new_privileges = "perhaps"'
    berth 125 run --rm --network none $IMAGE true
    assert_contains "$output" "no_new_privileges of $CONTAINERS_CONF"
}

@test "containers: mounts and volumes" {
    echo mine >"$FILE_DIR/file"
    # containers.volumes
    honoured mine "volumes = [\"$FILE_DIR/file:/vol\"]" $IMAGE cat /vol
    # containers.mounts
    honoured mine "mounts = [\"type=bind,src=$FILE_DIR/file,dst=/mnt/file\"]" $IMAGE cat /mnt/file
}

@test "containers: namespaces" {
    local ns
    for ns in pid ipc uts; do
        # containers.pidns
        # containers.ipcns
        # containers.utsns
        honoured "$(readlink /proc/self/ns/$ns)" "${ns}ns = \"host\"" $IMAGE readlink /proc/self/ns/$ns
        conf '[containers]' "${ns}ns = \"host\""
        berth run --rm --network none --$ns private $IMAGE readlink /proc/self/ns/$ns
        [[ $output != "$(readlink /proc/self/ns/$ns)" ]]
        conf '[containers]' "${ns}ns = \"nonsense\""
        berth 125 run --rm --network none $IMAGE true
        assert_contains "$output" "${ns}ns of containers.conf"
    done
    # containers.cgroupns
    honoured "$(readlink /proc/self/ns/cgroup)" 'cgroupns = "host"' $IMAGE readlink /proc/self/ns/cgroup
    conf '[containers]' 'ipcns = "shareable"'
    berth run --rm --network none $IMAGE true
    # containers.userns
    local id=7
    is_rootless || id=0 # root has no IDs to keep: the default is dropped
    honoured $id 'userns = "keep-id:uid=7,gid=7"' $IMAGE id -u
}

@test "containers: names and networks" {
    # containers.container_name_as_hostname
    honoured "a1-b" 'container_name_as_hostname = true' --name a_1-b $IMAGE hostname
    # containers.netns
    conf '[containers]' 'netns = "host"'
    berth run --rm $IMAGE readlink /proc/self/ns/net
    assert_equal "$output" "$(readlink /proc/self/ns/net)"
    # containers.no_hosts
    conf '[containers]' 'no_hosts = true'
    berth run --rm --network none $IMAGE sh -c 'grep -c localhost /etc/hosts || true'
    [[ $output == 0 || $output == *"No such file"* ]]
    # containers.base_hosts_file
    echo '192.0.2.9 based' >"$FILE_DIR/base"
    conf '[containers]' "base_hosts_file = \"$FILE_DIR/base\""
    berth run --rm --network none $IMAGE grep based /etc/hosts
    # containers.dns_servers
    # containers.dns_searches
    # containers.dns_options
    conf '[containers]' 'dns_servers = ["192.0.2.53"]' 'dns_searches = ["a.example"]' 'dns_options = ["ndots:3"]'
    berth run --rm --network none $IMAGE cat /etc/resolv.conf
    assert_equal "$output" $'search a.example\nnameserver 192.0.2.53\noptions ndots:3'
    # containers.host_containers_internal_ip
    conf '[containers]' 'host_containers_internal_ip = "192.0.2.77"'
    berth run --rm --add-host gw:host-gateway $IMAGE grep -E '^192.0.2.77' /etc/hosts
    assert_contains "$output" host.containers.internal
    assert_contains "$output" gw
}

@test "containers: the rest" {
    # containers.annotations
    conf '[containers]' 'annotations = ["a.b=c"]'
    berth create --name "$name" $IMAGE
    berth inspect --format '{{index .Config.Annotations "a.b"}}' "$name"
    assert_equal "$output" c
    # containers.init
    honoured 0 'init = true' $IMAGE sh -c '[ $$ = 1 ]; echo $((1 - $?))'
    # containers.init_path
    printf '#!/bin/sh\n' >"$FILE_DIR/notinit"; chmod +x "$FILE_DIR/notinit"
    conf '[containers]' 'init = true' "init_path = \"$FILE_DIR/notinit\""
    berth 125 run --rm --network none $IMAGE true
    assert_contains "$output" "$FILE_DIR/notinit"
    # containers.keyring
    conf '[containers]' 'keyring = false'
    berth create --name "$name-k" $IMAGE
    grep -q -- --no-new-keyring "$(record_dir "$name-k")/config.json"
    berth run --rm --network none $IMAGE true
    # containers.log_driver
    conf '[containers]' 'log_driver = "none"'
    berth run --name "$name-log" --network none $IMAGE echo hello
    berth inspect --format '{{.HostConfig.LogConfig.Type}}' "$name-log"
    assert_equal "$output" none
    # containers.log_size_max
    # containers.log_tag
    conf '[containers]' 'log_size_max = 65536' 'log_tag = "{{.Name}}"'
    berth create --name "$name-size" $IMAGE
    berth inspect --format '{{.HostConfig.LogConfig.Size}} {{.HostConfig.LogConfig.Tag}}' "$name-size"
    assert_equal "$output" '65536B {{.Name}}'
}

@test "a flag counts over containers.conf, also where it says false, 0 or none" {
    # over KEY=VALUE WANT ARG...: run with that key in [containers] and ARG... prints WANT.
    over() { honoured "$2" "$1" "${@:3}"; }
    over 'init = true' yes --init=false $IMAGE sh -c '[ $$ = 1 ] && echo yes'
    over 'read_only = true' yes --read-only=false $IMAGE sh -c 'touch /x && echo yes'
    HOSTVAR=here over 'env_host = true' '[]' --env-host=false $IMAGE sh -c 'echo "[$HOSTVAR]"'
    https_proxy=http://p.example over 'http_proxy = false' http://p.example --http-proxy=true $IMAGE sh -c 'echo $https_proxy'
    over 'no_hosts = true' 192.0.2.1 --no-hosts=false --add-host db:192.0.2.1 $IMAGE sh -c 'grep "db$" /etc/hosts | cut -f1'
    over 'shm_size = "1m"' yes --shm-size 0 $IMAGE sh -c 'dd if=/dev/zero of=/dev/shm/x bs=1M count=2 2>/dev/null && echo yes'
    over 'privileged = true' "$("$ENGINE" run --rm --network none $IMAGE grep ^CapBnd /proc/self/status)" --privileged=false $IMAGE grep ^CapBnd /proc/self/status
    over 'oom_score_adj = 900' "$(cat /proc/self/oom_score_adj)" --oom-score-adj 0 $IMAGE cat /proc/self/oom_score_adj
    over 'umask = "0077"' 0000 --umask 0 $IMAGE sh -c umask
    conf '[containers]' 'dns_servers = ["192.0.2.53"]'
    berth run --rm --network none --dns 192.0.2.54 $IMAGE cat /etc/resolv.conf
    assert_equal "$output" 'nameserver 192.0.2.54'
    conf '[containers]' 'pids_limit = 99' 'log_size_max = 65536' 'log_driver = "none"'
    berth create --name "$name" --pids-limit 0 --log-driver k8s-file --log-opt max-size=0 $IMAGE
    berth inspect --format '{{.HostConfig.PidsLimit}} {{.HostConfig.LogConfig.Type}} {{.HostConfig.LogConfig.Size}}' "$name"
    assert_equal "$output" '-1 k8s-file 0B'
    conf '[engine]' 'stop_timeout = 3' 'pull_policy = "always"' 'env = ["FROMCONF=x"]'
    berth run --rm --network none --pull missing --stop-timeout 0 -e FROMCONF $IMAGE sh -c 'echo $FROMCONF'
    assert_equal "$output" x
}

record_dir() { echo "$GRAPHROOT/berth/containers/$("$ENGINE" inspect --format '{{.Id}}' "$1")"; }

@test "engine: the runtime and its flags" {
    # engine.runtime
    # engine.runtimes
    # engine.runtimes_flags
    conf '[engine]' 'runtime = "mine"' '[engine.runtimes]' "mine = [\"/no/such\", \"$(type -P runc)\"]" '[engine.runtimes_flags]' 'mine = ["debug"]'
    berth create --name "$name" $IMAGE
    berth inspect --format '{{.OCIRuntime}}' "$name"
    assert_equal "$output" mine
    grep -q -- --debug "$(record_dir "$name")/config.json"
    # engine.platform_to_oci_runtime
    conf '[engine.platform_to_oci_runtime]' "\"linux/$("$ENGINE" info --format '{{.Host.Arch}}')\" = \"runc\""
    berth create --name "$name-p" $IMAGE
    berth inspect --format '{{.OCIRuntime}}' "$name-p"
    assert_equal "$output" runc
    # engine.no_pivot_root
    conf '[engine]' 'no_pivot_root = true'
    berth create --name "$name-n" $IMAGE
    grep -q -- --no-pivot "$(record_dir "$name-n")/config.json"
    # engine.cgroup_manager
    # A manager that this host does not have is dropped; test/vm has a host with systemd.
    conf '[engine]' 'cgroup_manager = "systemd"'
    berth run --rm --network none $IMAGE true
    # containers.cgroups
    conf '[containers]' 'cgroups = "disabled"'
    berth info --format '{{.Host.CgroupManager}}'
    assert_equal "$output" disabled
}

@test "engine: what a command does without its flag" {
    # engine.stop_timeout
    conf '[engine]' 'stop_timeout = 3'
    berth create --name "$name" $IMAGE
    berth inspect --format '{{.Config.StopTimeout}}' "$name"
    assert_equal "$output" 3
    # engine.pull_policy
    conf '[engine]' 'pull_policy = "never"'
    berth 125 run --rm localhost/no-such-image
    assert_contains "$output" "pull it first"
    # engine.env
    conf '[engine]' 'env = ["no_proxy=from.conf"]'
    berth run --rm --network none $IMAGE sh -c 'echo $no_proxy'
    assert_equal "$output" from.conf
    # engine.events_logger
    conf '[engine]' 'events_logger = "none"'
    local before
    before=$(wc -l <"$GRAPHROOT/berth/events.log")
    berth run --rm --network none $IMAGE true
    assert_equal "$(wc -l <"$GRAPHROOT/berth/events.log")" "$before"
    # engine.detach_keys
    conf '[engine]' 'detach_keys = "nonsense"'
    berth 125 run --rm -it --network none $IMAGE true
    assert_contains "$output" nonsense
    # engine.init_path
    printf '#!/bin/sh\n' >"$FILE_DIR/notinit"; chmod +x "$FILE_DIR/notinit"
    conf '[engine]' "init_path = \"$FILE_DIR/notinit\""
    berth 125 run --rm --init --network none $IMAGE true
    assert_contains "$output" "$FILE_DIR/notinit"
    # engine.image_volume_mode
    printf 'FROM %s\nVOLUME /data\n' $IMAGE >"$FILE_DIR/Containerfile"
    conf '[engine]' 'image_volume_mode = "tmpfs"' 'image_build_format = "docker"'
    berth build -q -t localhost/vol "$FILE_DIR"
    berth run --rm --network none localhost/vol sh -c 'grep " /data " /proc/mounts | cut -d" " -f3'
    assert_equal "$output" tmpfs
    # engine.image_build_format
    berth image inspect --format '{{.ManifestType}}' localhost/vol
    assert_equal "$output" application/vnd.docker.distribution.manifest.v2+json
    # engine.multi_image_archive
    conf '[engine]' 'multi_image_archive = true'
    berth save -q -o "$FILE_DIR/two.tar" $IMAGE localhost/vol
    berth rmi localhost/vol
}

@test "engine: pull and push" {
    start_registry
    # engine.compression_format
    # engine.compression_level
    conf '[engine]' 'compression_format = "zstd"' 'compression_level = 3'
    berth push -q $IMAGE "$REGISTRY/c:1"
    run skopeo inspect --raw --tls-verify=false "docker://$REGISTRY/c:1"
    assert_contains "$output" tar+zstd
    # engine.image_parallel_copies
    # engine.image_copy_tmp_dir
    mkdir "$FILE_DIR/copies"
    conf '[engine]' "image_copy_tmp_dir = \"$FILE_DIR/no-such\"" 'image_parallel_copies = 1'
    run env -u TMPDIR "$ENGINE" pull -q "$REGISTRY/c:1"
    [[ $status -eq 125 ]]
    assert_contains "$output" "$FILE_DIR/no-such"
    conf '[engine]' "image_copy_tmp_dir = \"$FILE_DIR/copies\"" 'image_parallel_copies = 1'
    env -u TMPDIR "$ENGINE" pull -q "$REGISTRY/c:1"
    # engine.retry
    # engine.retry_delay
    stop_registry
    conf '[engine]' 'retry = 0' 'retry_delay = "nonsense"'
    berth 125 pull -q "$REGISTRY/c:1"
    assert_contains "$output" retry_delay
}

@test "network: helpers, their options, addresses of published ports" {
    # engine.helper_binaries_dir
    mkdir -p "$FILE_DIR/helpers"
    printf '#!/bin/sh\necho "this is the helper" >&2; exit 3\n' | tee "$FILE_DIR/helpers/pasta" >"$FILE_DIR/helpers/slirp4netns"
    chmod +x "$FILE_DIR/helpers/"*
    conf '[engine]' "helper_binaries_dir = [\"$FILE_DIR/helpers\"]"
    berth 125 run --rm --network pasta $IMAGE true
    assert_contains "$output" "$FILE_DIR/helpers/pasta"
    # network.pasta_options
    conf '[network]' 'pasta_options = ["--mtu", "1400"]'
    berth run --rm --network pasta $IMAGE sh -c 'cat /sys/class/net/*/mtu | grep 1400'
    # engine.network_cmd_options
    conf '[engine]' 'network_cmd_options = ["mtu=1300"]'
    berth run --rm --network slirp4netns $IMAGE sh -c 'cat /sys/class/net/*/mtu | grep 1300'
    # network.default_rootless_network_cmd
    # network.default_host_ips
    conf '[network]' 'default_rootless_network_cmd = "slirp4netns"' 'default_host_ips = ["127.0.0.1"]'
    berth create --name "$name" -p 80 $IMAGE
    berth inspect --format '{{.HostConfig.NetworkMode}} {{json .HostConfig.PortBindings}}' "$name"
    assert_contains "$output" slirp4netns
    assert_contains "$output" '"HostIp":"127.0.0.1"'
}

@test "network: networks that containers share" {
    # network.network_config_dir
    # network.default_subnet_pools
    mkdir "$FILE_DIR/networks"
    conf '[containers]' 'netns = "bridge"' '[network]' "network_config_dir = \"$FILE_DIR/networks\"" 'default_subnet_pools = [{"base" = "10.213.60.0/22", "size" = 24}]'
    berth network create "$name"
    test -e "$FILE_DIR/networks/$name.conflist"
    berth network inspect --format '{{range .Subnets}}{{.Subnet}}{{end}}' "$name"
    assert_equal "$output" 10.213.60.0/24
    berth create --name "$name" $IMAGE
    berth inspect --format '{{.HostConfig.NetworkMode}} {{range $n, $x := .NetworkSettings.Networks}}{{$n}}{{end}}' "$name"
    assert_equal "$output" "bridge podman"
}

@test "containers.default_sysctls: what the namespaces cannot take is dropped; what was asked for is an error" {
    # containers.default_sysctls
    honoured 5 'default_sysctls = ["net.ipv4.ip_default_ttl=5"]' $IMAGE cat /proc/sys/net/ipv4/ip_default_ttl
    conf '[containers]' 'default_sysctls = ["net.ipv4.ping_group_range=0 0", "kernel.shm_rmid_forced=1", "kernel.domainname=x", "net.no.such=1", "vm.swappiness=1"]'
    local args
    for args in "--network host" "--network none" "--network host --ipc host --uts host" "--network host --userns keep-id" "--network ns:/proc/self/ns/net"; do
        if is_rootless; then [[ $args != *ns:* ]] || continue; else [[ $args != *userns* ]] || continue; fi
        # shellcheck disable=SC2086
        berth run --rm $args $IMAGE true
        assert_equal "$output" ""
    done
    berth run -d --name "$name" --network none $IMAGE sleep 100
    berth run --rm --network "container:$name" --ipc "container:$name" --uts "container:$name" $IMAGE true
    assert_equal "$output" ""
    berth 125 run --rm --network host --sysctl net.ipv4.ip_default_ttl=5 $IMAGE true
    assert_contains "$output" "the network namespace is the host's"
}

@test "containers.pids_limit: 0 and -1 are no limit, and a default that cannot be had is no reason to warn" {
    # containers.pids_limit
    local limit want
    for limit in 0 -1 123; do
        want=$limit
        [[ $limit == 123 ]] || want=0
        ! is_rootless || [[ $(stat -f -c %T /sys/fs/cgroup) == cgroup2fs ]] || want=0
        conf '[containers]' "pids_limit = $limit"
        berth create --name "$name$limit" $IMAGE
        berth inspect --format '{{.HostConfig.PidsLimit}}' "$name$limit"
        assert_equal "$output" "$want"
    done
}

@test "info names set keys that are not used, and who decided each setting" {
    conf '[containers]' 'pids_limit = 100' 'log_driver = "journald"' '[engine]' 'num_locks = 99' 'no_such_key = 1'
    echo '[containers]
env = ["A=b", {append=true}]' >"$FILE_DIR/module.conf"
    berth --module "$FILE_DIR/module.conf" info --format json
    jq -e --arg conf "$CONTAINERS_CONF" --arg mod "$FILE_DIR/module.conf" --arg storage "$CONTAINERS_STORAGE_CONF" --arg registries "$CONTAINERS_REGISTRIES_CONF" '
        .config |
        (.settings | map({(.name): "\(.value) \(.decidedBy)"}) | add) as $s |
        $s["containers.pids_limit"] == "100 \($conf)" and
        ($s["containers.env"] | endswith($mod)) and ($s["containers.env"] | contains("A=b")) and
        ($s["storage.driver"] | endswith($storage)) and
        $s["registries.unqualified-search-registries"] == "[] \($registries)" and
        (.files == [$conf, $mod, $storage, $registries]) and
        (.notUsed | map(.name)) == ["containers.log_driver", "engine.no_such_key", "engine.num_locks"] and
        (.notUsed | all(.decidedBy == $conf and .why != ""))' <<<"$output"
    berth --storage-driver vfs info
    assert_contains "$output" "decidedBy: --storage-driver"
    assert_contains "$output" "engine.num_locks"
}

@test "defaults that this host cannot give are dropped without a word, in run and in build" {
    conf '[containers]' 'default_ulimits = ["nofile=999999999:999999999"]' 'devices = ["/dev/no-such-device"]' 'oom_score_adj = -1000' \
        'log_driver = "journald"' '[engine]' 'cgroup_manager = "systemd"' 'events_logger = "journald"'
    berth run --rm --network none $IMAGE sh -c 'echo $(ulimit -n)'
    [[ ! -d /run/systemd/system ]] || return 0 # root of a whole machine can have them all
    [[ $output =~ ^[0-9]+$ ]]
    local nofile=$output
    printf 'FROM %s\nRUN echo $(ulimit -n) >/nofile\n' "$IMAGE" >"$FILE_DIR/Containerfile"
    berth build -q --no-cache -t localhost/limits "$FILE_DIR"
    berth run --rm --network none localhost/limits cat /nofile
    assert_equal "$output" "$nofile"
    berth rmi localhost/limits
}

@test "secrets: which driver keeps them" {
    mkdir "$FILE_DIR/kept"
    # secrets.driver
    conf '[secrets]' 'driver = "nosuch"'
    berth 125 secret create "$name" "$REGISTRY_AUTH_FILE"
    assert_contains "$output" "invalid driver"
    # secrets.opts
    conf '[secrets]' 'driver = "file"' '[secrets.opts]' "path = \"$FILE_DIR/kept\""
    berth secret create "$name" "$REGISTRY_AUTH_FILE"
    conf
    berth secret inspect --format '{{.Spec.Driver.Options.path}}' "$name"
    assert_equal "$output" "$FILE_DIR/kept"
    berth secret inspect --showsecret --format '{{.SecretData}}' "$name"
    assert_equal "$output" "$(cat "$REGISTRY_AUTH_FILE")"
    berth secret rm "$name"
    not grep -q : "$FILE_DIR/kept/secretsdata.json"
}

@test "volume plugins" {
    volumeplugin "$FILE_DIR/plugin.sock" "$FILE_DIR" "$FILE_DIR/calls" >/dev/null 2>&1 3>&- &
    plugin=$!
    wait_for 10 test -S "$FILE_DIR/plugin.sock"
    # engine.volume_plugins
    # engine.volume_plugin_timeout
    conf '[engine]' 'volume_plugin_timeout = 1' '[engine.volume_plugins]' "mine = \"$FILE_DIR/plugin.sock\""
    berth volume create -d mine "slow-$name"
    berth 126 run --rm --network none -v "slow-$name:/v" $IMAGE true
    assert_contains "$output" "it has not answered in 1s"
    berth volume rm "slow-$name"
    kill "$plugin"
    conf
}

@test "time zone, and where CDI devices are described" {
    mkdir "$FILE_DIR/cdi"
    echo '{"cdiVersion": "0.6.0", "kind": "example.com/dev", "devices": [{"name": "a", "containerEdits": {"env": ["DEV=a"]}}]}' >"$FILE_DIR/cdi/dev.json"
    # engine.cdi_spec_dirs
    conf '[engine]' "cdi_spec_dirs = [\"$FILE_DIR/cdi\"]"
    # shellcheck disable=SC2016
    berth run --rm --network none --device example.com/dev=a $IMAGE sh -c 'echo $DEV'
    assert_equal "$output" a
    # engine.hooks_dir
    printf '#!/bin/sh\ncat >%s\n' "$FILE_DIR/hooked" >"$FILE_DIR/hook.sh"
    chmod +x "$FILE_DIR/hook.sh"
    echo '{"version": "1.0.0", "hook": {"path": "'"$FILE_DIR/hook.sh"'"}, "when": {"always": true}, "stages": ["prestart"]}' >"$FILE_DIR/cdi/hook.json"
    mkdir "$FILE_DIR/hooks"
    mv "$FILE_DIR/cdi/hook.json" "$FILE_DIR/hooks"
    conf '[engine]' "hooks_dir = [\"$FILE_DIR/hooks\", \"$FILE_DIR/no-such\"]"
    berth run --rm --network none $IMAGE true
    [[ -s $FILE_DIR/hooked ]]
    [[ -e /usr/share/zoneinfo/Asia/Tokyo ]] || skip "this host has no time zones"
    # containers.tz
    conf '[containers]' 'tz = "Asia/Tokyo"'
    berth run --rm --network none $IMAGE date +%z
    assert_equal "$output" +0900
}
