// SPDX-License-Identifier: Apache-2.0

// Package ctl is the language between a container's monitor and its clients.
//
// The socket, RunDir/ctl.sock, is a SOCK_SEQPACKET unix socket ("unixpacket"): a
// packet is a message. A packet that begins with '{' is a JSON Request (client to
// monitor) or Event (monitor to client); one that begins with Stdin, Stdout or
// Stderr carries a piece of that stream, at most MaxData bytes, after its first byte.
// A Stdin packet of one byte is end of file.
//
// The monitor greets each connection that it accepts with the event hello. A client
// sends one request and then, for attach, stream data and resize requests; the monitor
// answers each request with one event, and wait, attach, start with Wait, and exec with
// a second one when the process has ended.
// Files travel as SCM_RIGHTS with the request's packet.
package ctl

import (
	"encoding/json"

	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr/record"
)

// The first byte of a stream packet.
const (
	Stdin  = 0
	Stdout = 1
	Stderr = 2
)

// MaxData is how many bytes of a stream a packet carries at most.
const MaxData = 32 << 10

// MaxPacket is a bound on every packet.
const MaxPacket = 128 << 10

// ResourcesFile, in RunDir, has the limits that the request limit is about: the linux.resources of the runtime-spec.
const ResourcesFile = "resources.json"

// Request is what a client asks.
type Request struct {
	// Op is one of:
	//
	//	start     create and start the container (on the first connection of a new monitor), or
	//	          end the pause before its restart. With log driver passthrough the first packet carries
	//	          three files, the container's stdin, stdout and stderr; behind those, files to preserve. Answer: started, or error
	//	init      instead of start on the first connection: have the OCI runtime create the container, and
	//	          wait with its command for a start on any connection. Files as with start. Answer: initialized, or error
	//	drop      end a container that init has made, unless it was started meanwhile: it is then as it was before. Answer: exited, or error
	//	attach    become a client of the container's stdio. Answer: attached; then stream
	//	          packets both ways; exited when the container has ended for good. An attach
	//	          may be sent before start on the same connection, so that no output is lost (with
	//	          Early, if the start is to end the pause before a restart);
	//	          the client's input comes after start. Requests that follow input wait until the
	//	          container has taken it: signals and the like go on a connection of their own
	//	wait      Answer: exited, when the container has ended for good, or, with Next, when it
	//	          has ended, though it may be started again
	//	signal    send Signal to init (or, with All, to each process). Answer: ok
	//	stop      Signal (0: the container's), SIGKILL after TimeoutMs, restart policy off.
	//	          Answer: exited once it has ended, or error
	//	restart   stop as above, then start again in the same monitor. Answer: started
	//	pause, unpause   Answer: ok
	//	resize    Rows, Cols of the container's terminal. Answer: none
	//	exec      run Process in the container. Without a terminal, the packet carries
	//	          three files, the process's stdin, stdout and stderr (none with Detach: /dev/null). With
	//	          a terminal, the answer carries the master's file, and the monitor
	//	          keeps none. Answer: started (Pid), later exited; or error (Code 126, 127)
	//	rename    Name. The caller has taken the name. Answer: ok
	//	health    run the health check now. Answer: health
	//	limit     give the running container the limits in ResourcesFile. Answer: ok
	//	reload    read restart policy and health check from the record again. Answer: ok
	//	connect   attach the networks that the record has and the container has not. Answer: ok
	//	disconnect  detach network Name, which the client then takes from the record; with All, even where it cannot be undone. Answer: ok
	//	reconnect   make anew what is outside of the container for its networks. Answer: ok
	//	guard     the client is the monitor of container Name; each of the two has the other replaced
	//	          if the connection ends because it was killed. Answer: none
	//	checkpoint  have the OCI runtime write the container's processes into files, as Checkpoint says. Answer: checkpointed, at once where
	//	          the container goes on; else when it has ended and the monitor is about to, with the container's lock as a
	//	          file: nobody can start or remove it before the client lets go. Or error
	//	removed   the client that got exited with Delegated has removed the container. Answer: none
	Op string `json:"op"`

	Stdin  bool `json:"stdin,omitempty"`  // attach: this client's input goes to the container
	Stdout bool `json:"stdout,omitempty"` // attach
	Stderr bool `json:"stderr,omitempty"` // attach
	Early  bool `json:"early,omitempty"`  // attach: also while the container waits to be restarted
	Next   bool `json:"next,omitempty"`   // wait: for the next end

	// Owner, on the start request of a --rm container: this client stays until the end and then
	// removes the container itself (exited has Delegated set, and it answers with removed). If it
	// goes away before, the monitor runs Config.Cleanup.
	Owner bool `json:"owner,omitempty"`

	Signal    int    `json:"signal,omitempty"`
	All       bool   `json:"all,omitempty"`
	TimeoutMs int64  `json:"timeoutMs,omitempty"`
	Rows      uint16 `json:"rows,omitempty"`
	Cols      uint16 `json:"cols,omitempty"`
	Name      string `json:"name,omitempty"`

	Checkpoint *Checkpoint `json:"checkpoint,omitempty"`
	Restore    *Restore    `json:"restore,omitempty"` // start: from the checkpoint in record.CheckpointDir, in place of the command

	Process  json.RawMessage `json:"process,omitempty"` // exec: runtime-spec process object
	Detach   bool            `json:"detach,omitempty"`
	Preserve int             `json:"preserve,omitempty"` // start, exec: files after the three, if there are three, that the process gets as 3, 4, …
}

// Checkpoint says how a container's processes are written down. The flags are those of runc and crun.
type Checkpoint struct {
	PreDump        bool `json:"preDump,omitempty"`      // only their memory, into record.PreCheckpointDir; the container goes on
	WithPrevious   bool `json:"withPrevious,omitempty"` // of their memory only what has changed since then
	LeaveRunning   bool `json:"leaveRunning,omitempty"` // the container goes on
	TCPEstablished bool `json:"tcpEstablished,omitempty"`
	FileLocks      bool `json:"fileLocks,omitempty"`
	Keep           bool `json:"keep,omitempty"` // CRIU's log: the record names it
}

// GoesOn reports whether the container runs on.
func (c *Checkpoint) GoesOn() bool { return c.PreDump || c.LeaveRunning }

// Restore says how a container is started from its checkpoint.
type Restore struct {
	TCPEstablished bool `json:"tcpEstablished,omitempty"`
	TCPClose       bool `json:"tcpClose,omitempty"`
	FileLocks      bool `json:"fileLocks,omitempty"`
	Keep           bool `json:"keep,omitempty"` // the checkpoint
}

// Forced says which signal has not stopped a container in which time, so that it was killed.
type Forced struct {
	Signal  int   `json:"signal"`
	AfterMs int64 `json:"afterMs"`
}

// Event is what the monitor answers.
type Event struct {
	Event string `json:"event"` // hello, ok, started, initialized, attached, checkpointed, exited, health, guarded, error

	Pid       int            `json:"pid,omitempty"`
	ExitCode  int            `json:"exitCode,omitempty"`  // exited
	OOMKilled bool           `json:"oomKilled,omitempty"` // exited
	Delegated bool           `json:"delegated,omitempty"` // exited: see Request.Owner
	Forced    *Forced        `json:"forced,omitempty"`    // exited, started: the stop before that had to kill; else nil
	Health    *record.Health `json:"health,omitempty"`
	Warnings  []string       `json:"warnings,omitempty"` // started, initialized: what the networks cannot do
	Micros    int64          `json:"micros,omitempty"`   // checkpointed, started: how long the OCI runtime took

	Error string    `json:"error,omitempty"` // error: a sentence for the user
	Hint  hint.Hint `json:"hint,omitzero"`   // error: what fixes it
	Code  int       `json:"code,omitempty"`  // error: exit code for the CLI; 0 is 125
	Kind  string    `json:"kind,omitempty"`  // error: "not-running", "running", "starting", "not-paused", "paused", "no-healthcheck", or empty
}
