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
    [[ $output != *layer* ]]
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
