// SPDX-License-Identifier: Apache-2.0

package record

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/berth-containers/berth/network/attach"
)

// Records of version 1, as Berth 0.1.0 has written them for `run -d -p 8080:80 --name web busybox sleep 100`.
const (
	config1 = `{"version":1,"id":"ID","name":"web","created":"2026-11-01T10:00:00Z","imageName":"docker.io/library/busybox:latest","dir":"/d","runDir":"/r","data":"/g",
"rootfs":{"type":"overlay"},"runtime":{"name":"crun","path":"/usr/bin/crun","args":["--root","/r"]},"log":{"driver":"k8s-file"},"restart":{"policy":"no"},"stopSignal":15,"stopTimeout":10,
"network":{"mode":"pasta","netns":"new","path":"/run/user/1000/netns/berth-ID","helper":{"path":"/usr/bin/pasta","args":["--config-net","--netns","{netns}"],"daemonizes":true,"udpRelay":["127.0.0.1:53=53"]},
"ports":[{"host_ip":"","container_port":80,"host_port":8080,"protocol":"tcp"}]},"cleanup":null,"command":["sleep","100"],"hostname":"web"}`
	state1 = `{"version":1,"id":"ID","name":"web","created":"2026-11-01T10:00:00Z","network":"pasta","status":"running","bootID":"B","pid":7,"pidStart":70,"monitor":6,"netHelper":8}`
)

func inDir(t *testing.T, file, text string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestVersion1(t *testing.T) {
	dir := inDir(t, ConfigFile, config1)
	c, err := ReadConfig(dir)
	if err != nil {
		t.Fatal(err)
	}
	s, err := ReadSupervised(dir)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(&c.Supervised, s) {
		t.Errorf("the monitor reads %+v, commands %+v", s, c.Supervised)
	}
	want := attach.Network{
		Mode: "pasta", NetNS: "new", Path: "/run/user/1000/netns/berth-ID",
		Attachments: []attach.Attachment{{Network: "pasta", Helper: &attach.Helper{
			Path: "/usr/bin/pasta", Args: []string{"--config-net", "--netns", "{netns}"}, Daemonizes: true, UDPRelay: []string{"127.0.0.1:53=53"},
		}}},
		Ports: []PortMapping{{ContainerPort: 80, HostPort: 8080, Protocol: "tcp"}},
	}
	if !reflect.DeepEqual(c.Network, want) {
		t.Errorf("network %+v, want %+v", c.Network, want)
	}
	if c.Name != "web" || c.Hostname != "web" || c.NetNSPath() != want.Path {
		t.Errorf("got %+v", c)
	}

	st, err := ReadState(inDir(t, StateFile, state1))
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(st.NetHelpers, []int{8}) || st.Status != Running || st.Monitor != 6 {
		t.Errorf("got %+v", st)
	}
}

// What was read of an old record is written as a new one, and read as the same.
func TestWritten(t *testing.T) {
	dir := inDir(t, ConfigFile, config1)
	if err := os.WriteFile(filepath.Join(dir, StateFile), []byte(state1), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := ReadConfig(dir)
	s, serr := ReadState(dir)
	if err = errors.Join(err, serr); err == nil {
		err = errors.Join(c.Write(dir, false), s.Write(dir, true))
	}
	if err != nil {
		t.Fatal(err)
	}
	for file, gone := range map[string]string{ConfigFile: `"helper":{"path":"/usr/bin/pasta","args":["--config-net","--netns","{netns}"],"daemonizes":true,"udpRelay":["127.0.0.1:53=53"]},"ports"`, StateFile: `"netHelper":`} {
		data, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil || !strings.Contains(string(data), `"version":2`) || strings.Contains(string(data), gone) {
			t.Errorf("%s: %v: %s", file, err, data)
		}
	}
	again, err := ReadConfig(dir)
	if err != nil || !reflect.DeepEqual(again, c) {
		t.Errorf("read again: %+v, %v; want %+v", again, err, c)
	}
	sagain, err := ReadState(dir)
	if err != nil || !reflect.DeepEqual(sagain, s) {
		t.Errorf("read again: %+v, %v; want %+v", sagain, err, s)
	}
}

func TestVersionsThatAreRefused(t *testing.T) {
	for text, want := range map[string]string{
		`{}`:              "has version 0, this Berth reads 1 to 2",
		`{"version":-1}`:  "has version -1, this Berth reads 1 to 2",
		`{"version":3}`:   "has version 3, this Berth reads 1 to 2",
		`{"version":`:     "unexpected end of JSON input",
		``:                "unexpected end of JSON input",
		`{"version":"2"}`: "cannot unmarshal string",
	} {
		for file, read := range map[string]func(string) error{
			ConfigFile: func(dir string) error { _, err := ReadConfig(dir); return err },
			StateFile:  func(dir string) error { _, err := ReadState(dir); return err },
		} {
			dir := inDir(t, file, text)
			if err := read(dir); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), filepath.Join(dir, file)) {
				t.Errorf("%s %q: %v; want %q", file, text, err, want)
			}
		}
	}
	_, err := ReadState(t.TempDir())
	if !errors.Is(err, fs.ErrNotExist) || !IsNotExist(err) || !IsNotExist(ErrGone) {
		t.Errorf("without a record: %v", err)
	}
}

// A record larger than the buffer that it is read into first.
func TestLargeRecord(t *testing.T) {
	s := &State{ID: "ID", Created: time.Date(2026, 11, 1, 10, 0, 0, 0, time.UTC), Labels: map[string]string{"long": strings.Repeat("x", 100_000)}}
	dir := t.TempDir()
	if err := s.Write(dir, false); err != nil {
		t.Fatal(err)
	}
	got, err := ReadState(dir)
	if err != nil || !reflect.DeepEqual(got, s) {
		t.Errorf("read %d bytes of label, %v", len(got.Labels["long"]), err)
	}
}

func TestNetNSPath(t *testing.T) {
	c := &Supervised{RunDir: "/r"}
	if got := c.NetNSPath(); got != "/r/netns" {
		t.Errorf("got %s", got)
	}
	c.Network.Path = "/run/user/1000/netns/berth-ID"
	if got := c.NetNSPath(); got != c.Network.Path {
		t.Errorf("got %s", got)
	}
}

// Every field of a record has a name of its own in JSON, and none is written by mistake under Go's.
func TestFieldNames(t *testing.T) {
	for _, v := range []any{Config{}, State{}, attach.Network{}} {
		data, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(data, &fields); err != nil {
			t.Fatal(err)
		}
		for name := range fields {
			if name[0] < 'a' || name[0] > 'z' {
				t.Errorf("%T writes %q", v, name)
			}
		}
	}
}
