// SPDX-License-Identifier: Apache-2.0

// Package volplugin calls volume plugins of Docker's plugin API: a program that answers HTTP on a unix socket, with JSON.
// (https://docs.docker.com/engine/extend/plugins_volume/)
//
// The package is linked into the monitor: it has no use for net/http.
package volplugin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// ErrNotVolumePlugin is that of Activate for something else.
var ErrNotVolumePlugin = errors.New("plugin is not a volume plugin")

// maxAnswer bounds what a plugin may answer.
const maxAnswer = 16 << 20

// Client is a plugin. Its methods are those of the API; each waits Timeout for an answer.
type Client struct {
	Name    string        `json:"name"`
	Socket  string        `json:"socket"`
	Timeout time.Duration `json:"timeout"`
}

// Volume is one as a plugin knows it.
type Volume struct {
	Name       string
	Mountpoint string         // where it is mounted on the host; empty is not, or not known
	CreatedAt  string         // as the plugin writes it
	Status     map[string]any // whatever the plugin says
}

// request is that of all calls.
type request struct {
	Name string            `json:",omitempty"`
	ID   string            `json:",omitempty"`
	Opts map[string]string `json:",omitempty"`
}

// Activate asks the plugin whether it has volumes. The error wraps ErrNotVolumePlugin where it has something else.
func (c *Client) Activate() error {
	var answer struct{ Implements []string }
	if err := c.call("/Plugin.Activate", request{}, &answer); err != nil {
		return err
	}
	if !slices.Contains(answer.Implements, "VolumeDriver") {
		return fmt.Errorf("plugin %s does not implement volume plugin, instead provides %s: %w", c.Name, strings.Join(answer.Implements, ", "), ErrNotVolumePlugin)
	}
	return nil
}

// Create makes a volume.
func (c *Client) Create(name string, options map[string]string) error {
	return c.call("/VolumeDriver.Create", request{Name: name, Opts: options}, nil)
}

// Remove removes a volume.
func (c *Client) Remove(name string) error {
	return c.call("/VolumeDriver.Remove", request{Name: name}, nil)
}

// Get finds a volume; nil without an error is none.
func (c *Client) Get(name string) (*Volume, error) {
	var answer struct{ Volume *Volume }
	err := c.call("/VolumeDriver.Get", request{Name: name}, &answer)
	return answer.Volume, err
}

// List lists the plugin's volumes.
func (c *Client) List() ([]Volume, error) {
	var answer struct{ Volumes []Volume }
	err := c.call("/VolumeDriver.List", request{}, &answer)
	return answer.Volumes, err
}

// Path says where a volume is mounted on the host.
func (c *Client) Path(name string) (string, error) {
	var answer struct{ Mountpoint string }
	err := c.call("/VolumeDriver.Path", request{Name: name}, &answer)
	return answer.Mountpoint, err
}

// Mount mounts a volume for a container, and says where.
func (c *Client) Mount(name, id string) (string, error) {
	var answer struct{ Mountpoint string }
	err := c.call("/VolumeDriver.Mount", request{Name: name, ID: id}, &answer)
	return answer.Mountpoint, err
}

// Unmount says that a container does not need a volume any more.
func (c *Client) Unmount(name, id string) error {
	return c.call("/VolumeDriver.Unmount", request{Name: name, ID: id}, nil)
}

// Scope is local, or global where all machines see the same volumes.
func (c *Client) Scope() (string, error) {
	var answer struct{ Capabilities struct{ Scope string } }
	err := c.call("/VolumeDriver.Capabilities", request{}, &answer)
	return answer.Capabilities.Scope, err
}

// call posts a request and reads the answer.
func (c *Client) call(endpoint string, r request, answer any) error {
	status, body, err := c.post(endpoint, r)
	var said struct{ Err string }
	switch {
	case err != nil:
	case status != 200:
		if json.Unmarshal(body, &said) != nil || said.Err == "" {
			said.Err = fmt.Sprintf("it answers with status %d", status)
		}
	case json.Unmarshal(body, &said) != nil:
		said.Err = "it answers with something else than JSON"
	}
	if err == nil && said.Err != "" {
		err = errors.New(said.Err)
	}
	if err == nil && answer != nil {
		err = json.Unmarshal(body, answer)
	}
	switch {
	case err == nil:
		return nil
	case r.Name != "":
		return fmt.Errorf("on %s on volume %s in volume plugin %s: %w", endpoint, r.Name, c.Name, err)
	}
	return fmt.Errorf("on %s in volume plugin %s: %w", endpoint, c.Name, err)
}

// post speaks HTTP/1.0: the answer ends with the connection, and is in one piece.
func (c *Client) post(endpoint string, r request) (status int, body []byte, err error) {
	data, err := json.Marshal(r)
	if err != nil {
		return 0, nil, err
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, nil, err
	}
	defer unix.Close(fd)
	wait := unix.NsecToTimeval(int64(c.Timeout))
	for _, opt := range []int{unix.SO_RCVTIMEO, unix.SO_SNDTIMEO} {
		if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, opt, &wait); err != nil {
			return 0, nil, err
		}
	}
	end := time.Now().Add(c.Timeout)
	for err = unix.EINTR; err == unix.EINTR; {
		err = unix.Connect(fd, &unix.SockaddrUnix{Name: c.Socket})
	}
	if err != nil {
		return 0, nil, fmt.Errorf("connect to %s: %w", c.Socket, err)
	}
	out := fmt.Appendf(nil, "POST %s HTTP/1.0\r\nHost: plugin\r\nAccept: application/vnd.docker.plugins.v1.1+json\r\nContent-Type: application/vnd.docker.plugins.v1.1+json\r\nContent-Length: %d\r\n\r\n%s",
		endpoint, len(data), data)
	for len(out) > 0 {
		n, err := unix.SendmsgN(fd, out, nil, nil, unix.MSG_NOSIGNAL)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return 0, nil, c.late(err)
		}
		out = out[n:]
	}
	var in []byte
	for part := make([]byte, 32<<10); ; {
		n, err := unix.Read(fd, part)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return 0, nil, c.late(err)
		case n == 0:
			return parse(in)
		}
		if in = append(in, part[:n]...); len(in) > maxAnswer {
			return 0, nil, errors.New("its answer does not end")
		}
		if time.Now().After(end) {
			return 0, nil, c.late(unix.EAGAIN)
		}
	}
}

func (c *Client) late(err error) error {
	if err == unix.EAGAIN {
		return fmt.Errorf("it has not answered in %s", c.Timeout)
	}
	return err
}

// parse reads an answer of HTTP.
func parse(in []byte) (status int, body []byte, err error) {
	head, body, whole := bytes.Cut(in, []byte("\r\n\r\n"))
	var minor int
	if _, err := fmt.Sscanf(string(head), "HTTP/1.%d %d", &minor, &status); err != nil || !whole {
		return 0, nil, errors.New("it answers with something else than HTTP")
	}
	if bytes.Contains(bytes.ToLower(head), []byte("transfer-encoding: chunked")) {
		return 0, nil, errors.New("it answers a request of HTTP/1.0 in chunks")
	}
	return status, body, nil
}
