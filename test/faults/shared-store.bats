#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# A store that another engine works on: repair takes nothing from it, and takes what is Berth's own as soon as it may.
load ../helpers

setup_file() {
    store_setup
    printf '[storage.options.overlay]\nskip_mount_home = "true"\n' >>"$CONTAINERS_STORAGE_CONF"
    # An image of three layers in a registry, and a proxy that holds the last layer back until $FILE_DIR/go is there.
    local i dir=$FILE_DIR/ctx
    mkdir -p "$dir"
    for i in 1 2 3; do head -c 100000 /dev/urandom >"$dir/$i"; done
    printf 'FROM scratch\nCOPY 1 /1\nCOPY 2 /2\nCOPY 3 /3\n' >"$dir/Containerfile"
    berth build -q -t localhost/three "$dir"
    start_registry
    berth push -q localhost/three "$REGISTRY/three:1"
    berth rmi localhost/three
    berth image prune -f
    berth run --rm --network none "$IMAGE" true # its pin has a layer, which those that are counted below begin with
    local last
    last=$(skopeo inspect --raw --tls-verify=false "docker://$REGISTRY/three:1" 3>&- | jq -r '.layers[-1].digest')
    cat >"$FILE_DIR/proxy.py" <<-'P'
	import http.server, os, sys, time, urllib.request
	registry, last, go, out = sys.argv[1:]
	class Proxy(http.server.BaseHTTPRequestHandler):
	    def do_GET(self):
	        while self.path.endswith(last) and not os.path.exists(go):
	            time.sleep(0.1)
	        req = urllib.request.Request(f'http://{registry}{self.path}', headers={k: ', '.join(self.headers.get_all(k)) for k in ('Accept', 'Range') if k in self.headers}, method=self.command)
	        try:
	            r = urllib.request.urlopen(req)
	        except urllib.error.HTTPError as e:
	            r = e
	        self.send_response(r.status)
	        for k, v in r.headers.items():
	            if k in ('Content-Type', 'Content-Length', 'Docker-Content-Digest', 'Docker-Distribution-Api-Version'):
	                self.send_header(k, v)
	        self.end_headers()
	        if self.command == 'GET':
	            self.wfile.write(r.read())
	    do_HEAD = do_GET
	    def log_message(self, *args): pass
	s = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Proxy)
	with open(out + '.new', 'w') as f: f.write(str(s.server_port))
	os.rename(out + '.new', out)
	s.serve_forever()
	P
    python3 "$FILE_DIR/proxy.py" "$REGISTRY" "$last" "$FILE_DIR/go" "$FILE_DIR/port" >/dev/null 2>&1 3>&- & PROXY_PID=$!
    wait_for 20 test -e "$FILE_DIR/port"
    PROXY=127.0.0.1:$(cat "$FILE_DIR/port")
    printf '[[registry]]\nlocation = "%s"\ninsecure = true\n' "$PROXY" >>"$CONTAINERS_REGISTRIES_CONF"
    export PROXY PROXY_PID
}

teardown_file() {
    [[ -z ${PROXY_PID:-} ]] || kill "$PROXY_PID"
    end_podman
    store_teardown
}

teardown() {
    [[ -z ${pid:-} ]] || kill -KILL "$pid" 2>/dev/null || true
    test_teardown
}

layers() { jq -r '.[].id' "$GRAPHROOT/overlay-layers/layers.json" | sort; }
layers_are() { [[ $(layers | wc -l) -eq $1 ]]; }
in_place() { layers_are $((before + 2)); }

# killed_pull: a pull of Berth's that is killed with two of three layers in place.
killed_pull() {
    rm -f "$FILE_DIR/go"
    before=$(layers | wc -l)
    "$ENGINE" pull -q "$PROXY/three:1" >"$FILE_DIR/pull.log" 2>&1 3>&- & pid=$!
    wait_for 10 in_place || { cat "$FILE_DIR/pull.log"; jq -r ".[].id" "$GRAPHROOT/overlay-layers/layers.json"; false; }
    kill -KILL "$pid"
    wait "$pid" || true
    in_place
}

@test "the layers of a killed pull go with the next command, not a day later" {
    killed_pull
    berth run --rm --network none "$IMAGE" true
    layers_are "$before"
    berth system check --repair # its temporary files
    [[ $output != *"layer "* ]]
    berth system check
}

@test "the layers of a pull that goes on stay, whoever asks" {
    rm -f "$FILE_DIR/go"
    before=$(layers | wc -l)
    "$ENGINE" pull -q "$PROXY/three:1" >"$FILE_DIR/pull.log" 2>&1 3>&- & pid=$!
    wait_for 10 in_place || { cat "$FILE_DIR/pull.log"; jq -r ".[].id" "$GRAPHROOT/overlay-layers/layers.json"; false; }
    berth run --rm --network none "$IMAGE" true
    berth system check --repair
    in_place
    touch "$FILE_DIR/go"
    wait "$pid" || { cat "$FILE_DIR/pull.log"; false; }
    berth run --rm --network none --entrypoint /1 "$PROXY/three:1" || [[ $status -eq 126 ]]
    berth rmi "$PROXY/three:1"
    layers_are "$before"
}

@test "a pull of skopeo's into the store is left alone, also where it takes what a killed pull of Berth's has left" {
    killed_pull
    skopeo copy -q --src-tls-verify=false "docker://$PROXY/three:1" containers-storage:localhost/three:1 >"$FILE_DIR/skopeo.log" 2>&1 3>&- & pid=$!
    sleep 1 # it looks for what is there
    berth run --rm --network none "$IMAGE" true
    berth system check --repair
    assert_contains "$output" "skopeo (process"
    in_place
    touch "$FILE_DIR/go"
    wait "$pid" || { cat "$FILE_DIR/skopeo.log"; false; }
    berth image inspect --format '{{len .RootFS.Layers}}' localhost/three:1
    assert_equal "$output" 3
    berth system check --repair
    assert_equal "$output" ""
    berth rmi localhost/three:1
    layers_are "$before"
    [[ -z $(ls "$GRAPHROOT/berth/layers") ]]
}

@test "a working container of buildah's stays" {
    local c
    c=$(buildah from --pull-never "$IMAGE" 3>&-)
    berth system check --repair
    assert_equal "$output" ""
    buildah config --label a=b "$c" 3>&-
    buildah rm "$c" 3>&-
    berth system check
}

@test "an image stays while a container of Berth's needs it, whoever asks, and goes afterwards" {
    berth run -d --name "$name" "$IMAGE" sleep 1000
    run podman --root "$GRAPHROOT" --runroot "$RUNROOT" rmi "$IMAGE"
    [[ $status -ne 0 ]]
    assert_contains "$output" "in use by a container"
    berth 2 rmi "$IMAGE"
    assert_contains "$output" "image used by $("$ENGINE" inspect -f '{{.Id}}' "$name"): image is in use by a container"
    berth image prune -af
    berth exec "$name" true
    berth rm -ft0 "$name"
    berth save -qo "$FILE_DIR/image.tar" "$IMAGE"
    berth rmi "$IMAGE"
    assert_equal "$(jq length "$GRAPHROOT/overlay-containers/containers.json")" 0
    [[ ! -d $GRAPHROOT/berth/rw ]] || assert_equal "$(ls "$GRAPHROOT/berth/rw")" ""
    berth load -qi "$FILE_DIR/image.tar"
}

@test "rmi --force leaves an image that a container of another RUNROOT needs, and says so" {
    local other=$FILE_DIR/other-run
    berth --runroot "$other" run -d --rm --name "$name" "$IMAGE" sleep 1000
    berth 2 rmi -f "$IMAGE"
    assert_contains "$output" "in use by a container"
    berth --runroot "$other" exec "$name" true
    # Nor does repair take what it has no record of: names, and layers that the store has made.
    local stored=()
    if is_rootless; then stored=(--userns keep-id); fi
    berth --runroot "$other" run -d --rm --name "$name-2" "${stored[@]}" "$IMAGE" sleep 1000
    berth system check --repair
    assert_equal "$output" ""
    berth --runroot "$other" exec "$name" true
    berth --runroot "$other" exec "$name-2" ls /bin/sh
    berth --runroot "$other" stop -t 0 "$name" "$name-2"
}

@test "a store that fuse-overlayfs was used with goes on with it: what a container has deleted is gone in its image" {
    printf true >"$GRAPHROOT/overlay/.has-mount-program"
    berth run --name "$name" "$IMAGE" rm /bin/vi
    berth commit -q "$name" "localhost/$name"
    berth 1 run --rm "localhost/$name" test -e /bin/vi
    berth rm "$name"
    berth rmi "localhost/$name"
    rm "$GRAPHROOT/overlay/.has-mount-program"
}

@test "a pin that a power cut has left damaged is made again, and what runs goes on" {
    local lower
    berth run -d --name "$name" "$IMAGE" sleep 1000
    lower=$GRAPHROOT/overlay/$(jq -r '.[0].layer' "$GRAPHROOT/overlay-containers/containers.json")/lower
    [[ -s $lower ]]
    : >"$lower"
    berth run --rm "$IMAGE" true
    [[ -s $lower ]]
    berth exec "$name" ls /bin/sh
    berth restart -t 0 "$name"
    : >"$lower"
    berth 1 system check
    assert_contains "$output" "the record that keeps image"
    berth system check --repair
    berth system check
    [[ -s $lower ]]
    berth exec "$name" ls /bin/sh
    berth rm -ft0 "$name"
}

@test "half a pin, whose maker was killed, goes with the next repair, or is made whole by the next run" {
    local how containers=$GRAPHROOT/overlay-containers/containers.json
    for how in "system check --repair" "run --rm $IMAGE true"; do
        berth run --rm "$IMAGE" true
        echo '[]' >"$containers" # its layer is there, its record not
        # shellcheck disable=SC2086
        berth $how
        berth system check
        assert_equal "$output" ""
    done
}

@test "a pin that another engine has removed is found and made again; so is a layer whose container is gone" {
    berth create --name "$name" "$IMAGE" true
    podman --root "$GRAPHROOT" --runroot "$RUNROOT" rm -f "$(jq -r '.[0].id' "$GRAPHROOT/overlay-containers/containers.json")"
    mkdir -p "$GRAPHROOT/berth/rw/$(printf '%064d' 1)/$(printf '%064d' 2)/diff"
    berth 1 system check
    assert_contains "$output" "another engine may remove image"
    assert_contains "$output" "layer of a container that is gone"
    berth system check --repair
    berth system check
    berth start -a "$name"
    rm -f "$FILE_DIR/image.tar"
    berth save -qo "$FILE_DIR/image.tar" "$IMAGE"
    podman --root "$GRAPHROOT" --runroot "$RUNROOT" rmi -f "$IMAGE"
    berth 1 system check
    assert_contains "$output" "container $name has lost its layers"
    berth system check --repair
    berth system check
    berth 1 container exists "$name"
    berth load -qi "$FILE_DIR/image.tar"
    berth run --rm --network none "$IMAGE" true # the pin is there again: see setup_file
}
