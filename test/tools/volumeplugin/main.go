// SPDX-License-Identifier: Apache-2.0

// volumeplugin is a volume plugin of Docker's plugin API for the tests: `volumeplugin SOCKET DIR LOG`. A volume NAME is DIR/NAME, and LOG has a line
// of each call that changes something: the call, the volume, and whose it is for. Volumes whose names begin with "bad" cannot be made or mounted,
// and a mount of "slow…" takes a minute.
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

type request struct {
	Name, ID string
	Opts     map[string]string
}

func main() {
	socket, dir, logFile := os.Args[1], os.Args[2], os.Args[3]
	l, err := net.Listen("unix", socket)
	if err != nil {
		log.Fatal(err)
	}
	if err := os.Chmod(socket, 0o777); err != nil {
		log.Fatal(err)
	}
	calls, err := os.OpenFile(logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		log.Fatal(err)
	}
	volume := func(name string) map[string]any {
		return map[string]any{"Name": name, "Mountpoint": filepath.Join(dir, name), "Status": map[string]any{"healthy": true}}
	}
	answers := map[string]func(request) (any, error){
		"/Plugin.Activate": func(request) (any, error) { return map[string][]string{"Implements": {"VolumeDriver"}}, nil },
		"/VolumeDriver.Capabilities": func(request) (any, error) {
			return map[string]any{"Capabilities": map[string]string{"Scope": "global"}}, nil
		},
		"/VolumeDriver.Create":  func(r request) (any, error) { return nil, os.Mkdir(filepath.Join(dir, r.Name), 0o777) },
		"/VolumeDriver.Remove":  func(r request) (any, error) { return nil, os.RemoveAll(filepath.Join(dir, r.Name)) },
		"/VolumeDriver.Unmount": func(request) (any, error) { return nil, nil },
		"/VolumeDriver.Get": func(r request) (any, error) {
			_, err := os.Stat(filepath.Join(dir, r.Name))
			return map[string]any{"Volume": volume(r.Name)}, err
		},
		"/VolumeDriver.List": func(request) (any, error) {
			all := []any{}
			entries, err := os.ReadDir(dir)
			for _, d := range entries {
				all = append(all, volume(d.Name()))
			}
			return map[string]any{"Volumes": all}, err
		},
	}
	mount := func(r request) (any, error) {
		if strings.HasPrefix(r.Name, "slow") {
			time.Sleep(time.Minute)
		}
		return map[string]string{"Mountpoint": filepath.Join(dir, r.Name)}, nil
	}
	answers["/VolumeDriver.Mount"], answers["/VolumeDriver.Path"] = mount, mount
	log.Fatal(http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		var r request
		_ = json.NewDecoder(req.Body).Decode(&r)
		answer, ok := answers[req.URL.Path]
		if !ok {
			http.NotFound(w, req)
			return
		}
		switch verb := filepath.Ext(req.URL.Path)[1:]; verb {
		case "Create", "Remove", "Mount", "Unmount":
			fmt.Fprintln(calls, verb, r.Name, r.ID, r.Opts["size"])
		}
		result, err := answer(r)
		if strings.HasPrefix(r.Name, "bad") {
			err = fmt.Errorf("no room for %s", r.Name)
		}
		if err != nil {
			w.WriteHeader(http.StatusInternalServerError)
			result = map[string]string{"Err": err.Error()}
		}
		if result == nil {
			result = map[string]string{}
		}
		_ = json.NewEncoder(w).Encode(result)
	})))
}
