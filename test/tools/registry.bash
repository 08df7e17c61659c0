# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Debian's docker-registry for one bats file; loaded by start_registry in helpers.bash.

registry_start() {
    local tls= auth= dir port=
    while [[ $# -gt 0 ]]; do
        case $1 in
        --tls) tls=1; shift ;;
        --auth) auth=$2; shift 2 ;;
        *) echo "start_registry: unknown option $1"; return 1 ;;
        esac
    done
    dir=$(mktemp -d "$FILE_DIR/registry-XXXXXX")
    mkdir "$dir/data"
    [[ -z $auth ]] || htpasswd -Bbn "${auth%%:*}" "${auth#*:}" >"$dir/htpasswd"
    [[ -z $tls ]] || registry_certificate "$dir"
    registry_config "$dir" "$tls" "$auth" >"$dir/config.yml"

    # In a session of its own, so that no signal meant for the test reaches it; without
    # our variables, as it takes each REGISTRY_… for a setting.
    env -i PATH="$PATH" setsid docker-registry serve "$dir/config.yml" >"$dir/log" 2>&1 </dev/null 3>&- &
    REGISTRY_PID=$!
    echo "$REGISTRY_PID" >"$dir/pid"
    registry_port() { port=$(sed -n 's/.*listening on 127\.0\.0\.1:\([0-9]*\).*/\1/p' "$dir/log" | head -n 1); [[ -n $port ]]; }
    wait_for 20 registry_port || { cat "$dir/log"; return 1; }

    REGISTRY=127.0.0.1:$port
    REGISTRY_DIR=$dir/data
    export REGISTRY REGISTRY_DIR REGISTRY_PID
    if [[ -n $tls ]]; then
        mkdir -p "$HOME/.config/containers/certs.d/$REGISTRY"
        cp "$dir/ca.crt" "$HOME/.config/containers/certs.d/$REGISTRY/ca.crt"
    else
        printf '[[registry]]\nlocation = "%s"\ninsecure = true\n' "$REGISTRY" >>"$CONTAINERS_REGISTRIES_CONF"
    fi
}

registry_config() { # registry_config DIR TLS AUTH
    cat <<Y
version: 0.1
log: {level: info, formatter: text}
storage:
  filesystem: {rootdirectory: $1/data}
  delete: {enabled: true}
http:
  addr: 127.0.0.1:0
  secret: not-a-secret
Y
    [[ -z $2 ]] || printf '  tls: {certificate: %s/server.crt, key: %s/server.key}\n' "$1" "$1"
    [[ -z $3 ]] || printf 'auth:\n  htpasswd: {realm: test, path: %s/htpasswd}\n' "$1"
}

registry_certificate() { # registry_certificate DIR: a CA, and a certificate of it for 127.0.0.1
    (
        cd "$1"
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=test-ca \
            -keyout ca.key -out ca.crt
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=127.0.0.1 \
            -keyout server.key -out server.csr
        openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -out server.crt \
            -extfile <(printf 'subjectAltName=IP:127.0.0.1,DNS:localhost')
    ) >"$1/openssl.log" 2>&1 || { cat "$1/openssl.log"; return 1; }
}
