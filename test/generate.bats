#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# generate spec: a container in the JSON of podman's API.
load helpers

# field JQ: of the description of $name.
field() { "$ENGINE" generate spec "$name" 3>&- | jq -c "$1"; }

@test "generate spec: what the container was made with, under podman's names" {
    berth create --name "$name" --network none -e A=b --label l=m -v /usr:/x:ro -v "$name-data:/v" --restart on-failure:3 -u 5 \
        --stop-timeout 3 --tz UTC "$IMAGE" sleep 100
    assert_equal "$(field .name)" "\"$name-clone\""
    assert_equal "$(field .command)" '["sleep","100"]'
    assert_equal "$(field .env.A)" '"b"'
    assert_equal "$(field .env.HOSTNAME)" null
    assert_equal "$(field .labels)" '{"l":"m"}'
    assert_equal "$(field .restart_policy)" '"on-failure"'
    assert_equal "$(field .user)" '"5"'
    assert_equal "$(field .timezone)" '"UTC"'
    assert_equal "$(field '.mounts[0] | [.source, .destination, .type, (.options | index("ro") != null)]')" '["/usr","/x","bind",true]'
    assert_equal "$(field '.volumes[0] | [.Name, .Dest]')" "[\"$name-data\",\"/v\"]"
    assert_equal "$(field '.containerCreateCommand[-2:]')" '["sleep","100"]'
    berth rm "$name"
    berth volume rm "$name-data"
}

@test "generate spec: limits, security, health, names and ports" {
    is_berth || skip "podman 4.3 leaves these out"
    printf x | "$ENGINE" secret create "$name" - 3>&-
    berth create --name "$name" --network slirp4netns -p 127.0.0.1::80/udp --cap-add net_admin --cap-drop chown --ulimit nofile=100:200 --log-opt tag=x -w /tmp \
        --dns 1.1.1.1 --add-host a:1.2.3.4 --device /dev/null:/dev/nul1 --sysctl net.ipv4.ip_forward=1 --security-opt no-new-privileges --health-cmd true --stop-timeout 3 \
        --secret "$name" --secret "$name,type=env,target=SV" --restart on-failure:3 --hostname there --read-only --annotation a=b --umask 0027 --group-add 7 "$IMAGE" sleep 100
    assert_equal "$(field '[.cap_add, .cap_drop]')" '[["CAP_NET_ADMIN"],["CAP_CHOWN"]]'
    assert_equal "$(field '.r_limits')" '[{"type":"RLIMIT_NOFILE","hard":200,"soft":100}]'
    assert_equal "$(field '.log_configuration.options')" '{"tag":"x"}'
    assert_equal "$(field '[.work_dir, .hostname, .umask, .groups, .stop_timeout, .restart_tries]')" '["/tmp","there","0027",["7"],3,3]'
    assert_equal "$(field '[.dns_server, .hostadd, .netns.nsmode]')" '[["1.1.1.1"],["a:1.2.3.4"],"slirp4netns"]'
    assert_equal "$(field '.portmappings[0] | [.host_ip, .container_port, .protocol, .range, .host_port > 0]')" '["127.0.0.1",80,"udp",1,true]'
    assert_equal "$(field '[.host_device_list[].path, .sysctl, .no_new_privileges, .read_only_filesystem, .annotations]')" \
        '["/dev/null:/dev/nul1",{"net.ipv4.ip_forward":"1"},true,true,{"a":"b"}]'
    assert_equal "$(field '.healthconfig.Test')" '["CMD-SHELL","true"]'
    assert_equal "$(field '[.secrets[0].Source, .secret_env]')" "[\"$name\",{\"SV\":\"$name\"}]"
    berth rm "$name"
    "$ENGINE" secret rm "$name" 3>&-
}

@test "generate spec: one line, a file, the name it has; what it cannot do" {
    berth create --name "$name" "$IMAGE" true
    berth generate spec --compact --name=false "$name"
    assert_equal "$(wc -l <<<"$output")" 1
    assert_equal "$(jq -r .name <<<"$output")" "$name"
    berth generate spec --filename "$FILE_DIR/spec.json" "$name"
    assert_equal "$(jq -r .name "$FILE_DIR/spec.json")" "$name-clone"
    berth 125 generate spec -f "$FILE_DIR/nowhere/spec.json" "$name"
    assert_contains "$output" "nowhere/spec.json: no such file or directory"
    berth 125 generate spec "$name-2"
    berth 125 generate spec
    berth rm "$name"
}
