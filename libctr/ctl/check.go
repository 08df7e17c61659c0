// SPDX-License-Identifier: Apache-2.0

package ctl

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/berth-containers/berth/libctr/record"
)

// MaxSignal is the largest signal there is (SIGRTMAX).
const MaxSignal = 64

// ProcessSpec is what a monitor reads of the runtime-spec process of an exec request. The OCI runtime reads the rest.
type ProcessSpec struct {
	Terminal bool     `json:"terminal"`
	Args     []string `json:"args"`
	Env      []string `json:"env"`
	Cwd      string   `json:"cwd"`
}

// DecodeRequest reads a request as a stranger's: a field or an operation that there is not, and any value that the
// command line would not take, is an error.
func DecodeRequest(packet []byte) (*Request, error) {
	r := new(Request)
	if err := json.Unmarshal(packet, r); err != nil {
		return nil, fmt.Errorf("decode request: %w", err)
	}
	if key := unknownField(packet); key != nil {
		return nil, fmt.Errorf("decode request: unknown field %q", key)
	}
	if err := r.check(); err != nil {
		return nil, fmt.Errorf("request %q: %w", r.Op, err)
	}
	return r, nil
}

// unknownField returns a key of a JSON object that Request does not have. A decoder that looks for such keys
// needs memory that an idle monitor never gets back.
func unknownField(object []byte) []byte {
	for depth, i := 0, 0; i < len(object); i++ {
		switch object[i] {
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		case '"':
			begin := i + 1
			for i++; object[i] != '"'; i++ {
				if object[i] == '\\' {
					i++
				}
			}
			key, rest := object[begin:i], bytes.TrimLeft(object[i+1:], " \t\r\n")
			if depth == 1 && rest[0] == ':' && !slices.Contains(fields, string(key)) {
				return key
			}
		}
	}
	return nil
}

var fields = []string{
	"op", "stdin", "stdout", "stderr", "early", "next", "owner", "signal", "all", "timeoutMs", "rows", "cols", "name",
	"checkpoint", "restore", "process", "detach", "preserve",
}

var ops = []string{
	"start", "init", "drop", "attach", "wait", "signal", "stop", "restart", "pause", "unpause", "resize", "exec", "rename", "health", "limit", "reload", "guard", "removed", "checkpoint",
	"connect", "disconnect", "reconnect",
}

// NoSuchRequest is how the answer to a request ends that the monitor, which may be of an older Berth, does not know.
const NoSuchRequest = "there is no such request"

func (r *Request) check() error {
	const longest = math.MaxInt64 / int64(time.Millisecond)
	switch {
	case !slices.Contains(ops, r.Op):
		return errors.New(NoSuchRequest)
	case r.Signal < 0 || r.Signal > MaxSignal || r.Op == "signal" && r.Signal == 0:
		return fmt.Errorf("signal %d: signals are numbered 1 to %d", r.Signal, MaxSignal)
	case r.TimeoutMs > longest || r.TimeoutMs < -longest:
		return fmt.Errorf("timeout of %d ms: it is too long", r.TimeoutMs)
	case r.Preserve < 0 || r.Preserve > maxFiles:
		return fmt.Errorf("%d files to preserve: at most %d are", r.Preserve, maxFiles)
	case r.Op == "rename" && !record.ValidName(r.Name):
		return fmt.Errorf("name %q: only letters, digits, and _ . - after the first letter or digit are allowed", r.Name)
	case r.Op == "guard" && !record.ValidID(r.Name):
		return fmt.Errorf("%q is no container's ID", r.Name)
	case (r.Op == "checkpoint") != (r.Checkpoint != nil):
		return errors.New("checkpoint is a request with a field of that name")
	case r.Op != "exec" && r.Process != nil:
		return errors.New("it takes no process")
	case r.Op == "exec":
		_, err := r.Spec()
		return err
	}
	return nil
}

// Spec decodes the process of an exec request.
func (r *Request) Spec() (*ProcessSpec, error) { return DecodeProcess(r.Process) }

// DecodeProcess reads a runtime-spec process. What it returns can be executed: there are arguments, none with a zero byte
// in it, at which the runtime would cut it, and variables have names.
func DecodeProcess(data []byte) (*ProcessSpec, error) {
	p := new(ProcessSpec)
	if err := json.Unmarshal(data, p); err != nil || len(p.Args) == 0 {
		return nil, errors.Join(errors.New("the process has no arguments"), err)
	}
	zero := func(s string) bool { return strings.IndexByte(s, 0) >= 0 }
	switch {
	case slices.ContainsFunc(p.Args, zero) || slices.ContainsFunc(p.Env, zero) || zero(p.Cwd):
		return nil, errors.New("the process has a zero byte in an argument, a variable or its directory")
	case slices.ContainsFunc(p.Env, func(v string) bool { return strings.Index(v, "=") < 1 }):
		return nil, errors.New("the process has a variable without a name")
	case p.Cwd != "" && !path.IsAbs(p.Cwd):
		return nil, fmt.Errorf("the process's directory %q is not an absolute path", p.Cwd)
	}
	return p, nil
}
