// SPDX-License-Identifier: Apache-2.0

package volplugin

import (
	"encoding/json"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// serve has handle answer on a socket.
func serve(t *testing.T, handle http.HandlerFunc) *Client {
	t.Helper()
	c := &Client{Name: "p", Socket: filepath.Join(t.TempDir(), "s"), Timeout: 10 * time.Second}
	l, err := net.Listen("unix", c.Socket)
	if err != nil {
		t.Fatal(err)
	}
	s := &http.Server{Handler: handle}
	go s.Serve(l)
	t.Cleanup(func() { s.Close() })
	return c
}

func TestCalls(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, req *http.Request) {
		var r request
		if err := json.NewDecoder(req.Body).Decode(&r); err != nil || req.Method != http.MethodPost {
			t.Errorf("%s %s: %v", req.Method, req.URL.Path, err)
		}
		switch req.URL.Path {
		case "/Plugin.Activate":
			w.Write([]byte(`{"Implements": ["VolumeDriver"]}`))
		case "/VolumeDriver.Mount":
			json.NewEncoder(w).Encode(map[string]string{"Mountpoint": "/" + r.Name + "/" + r.ID})
		case "/VolumeDriver.Get":
			w.Write([]byte(`{"Volume": {"Name": "v", "Mountpoint": "/v", "Status": {"a": 1}}}`))
		case "/VolumeDriver.List":
			w.Write([]byte(`{"Volumes": [{"Name": "a"}, {"Name": "` + strings.Repeat("b", 100_000) + `"}]}`))
		case "/VolumeDriver.Create":
			if r.Opts["size"] != "1" {
				t.Errorf("options %v", r.Opts)
			}
			w.Write([]byte(`{}`))
		default:
			w.WriteHeader(500)
			w.Write([]byte(`{"Err": "not today"}`))
		}
	})
	if err := c.Activate(); err != nil {
		t.Error(err)
	}
	if at, err := c.Mount("v", "id"); at != "/v/id" || err != nil {
		t.Errorf("Mount = %q, %v", at, err)
	}
	if v, err := c.Get("v"); err != nil || v == nil || v.Mountpoint != "/v" || v.Status["a"] != 1.0 {
		t.Errorf("Get = %+v, %v", v, err)
	}
	if l, err := c.List(); err != nil || len(l) != 2 || len(l[1].Name) != 100_000 {
		t.Errorf("List = %d, %v", len(l), err)
	}
	if err := c.Create("v", map[string]string{"size": "1"}); err != nil {
		t.Error(err)
	}
	if err := c.Remove("v"); err == nil || err.Error() != "on /VolumeDriver.Remove on volume v in volume plugin p: not today" {
		t.Errorf("Remove = %v", err)
	}
}

func TestAnswersThatAreNone(t *testing.T) {
	for name, tc := range map[string]struct {
		handle http.HandlerFunc
		want   string
	}{
		"not JSON": {func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("hello")) }, "something else than JSON"},
		"a status": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(404) }, "status 404"},
		"another":  {func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(`{"Implements": ["NetworkDriver"]}`)) }, "instead provides NetworkDriver"},
		"an error": {func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(`{"Err": "busy"}`)) }, "busy"},
		"not HTTP": {func(w http.ResponseWriter, _ *http.Request) { hijack(t, w, "garbage") }, "something else than HTTP"},
		"in chunks": {func(w http.ResponseWriter, _ *http.Request) {
			hijack(t, w, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n")
		}, "in chunks"},
		"without end": {func(w http.ResponseWriter, _ *http.Request) {
			for part := make([]byte, 1<<20); ; {
				if _, err := w.Write(part); err != nil {
					return
				}
			}
		}, "does not end"},
		"silence": {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "has not answered in 100ms"},
	} {
		t.Run(name, func(t *testing.T) {
			c := serve(t, tc.handle)
			if name == "silence" {
				c.Timeout = 100 * time.Millisecond
			}
			if err := c.Activate(); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("Activate = %v, want %q", err, tc.want)
			}
		})
	}
	if err := (&Client{Name: "p", Socket: filepath.Join(t.TempDir(), "none"), Timeout: time.Second}).Activate(); err == nil {
		t.Error("Activate: a socket that is not there")
	}
}

func hijack(t *testing.T, w http.ResponseWriter, text string) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err != nil {
		t.Error(err)
		return
	}
	conn.Write([]byte(text))
	conn.Close()
}
