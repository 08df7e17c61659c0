// SPDX-License-Identifier: Apache-2.0

// Package logfile writes and reads a container's log.
//
// An entry is one line of output, or the part of one that came without its end:
// output is logged as it arrives, so that nothing waits in the monitor's memory.
// Two formats have the same entries:
//
//	k8s-file   2026-11-21T23:33:00.000000000+00:00 stdout F line      (P: partial)
//	json-file  {"log":"line\n","stream":"stdout","time":"2026-11-21T23:33:00Z"}   (partial: no \n)
//
// Rotation renames: PATH becomes PATH.1, PATH.1 becomes PATH.2, and so on up to
// the number of files to keep. A file is never cut, and gets nothing more after
// it was renamed and PATH made again; so a reader that holds it open
// finds its end and goes on with the next, and no entry is lost between two.
// One rotated file is always kept, also where one file in all was asked for: a
// log that has just been rotated is not empty.
//
// A follower holds a lock on what it has still to read, and the writer does not rotate that away, within
// a bound: see follow.go. Files that many processes write to, as the events log, are rotated in the same way: see shared.go.
//
// The package is linked into the monitor: it imports the standard library's
// leanest parts only.
package logfile

import (
	"fmt"
	"time"
)

// Format is how entries are written.
type Format string

// The formats, by the names of their log drivers.
const (
	K8s  Format = "k8s-file"
	JSON Format = "json-file"
)

// Stream is where output came from. The numbers are those of package ctl.
type Stream byte

// The streams.
const (
	Stdout Stream = 1
	Stderr Stream = 2
)

func (s Stream) String() string {
	if s == Stderr {
		return "stderr"
	}
	return "stdout"
}

// Entry is one line, or a part of one.
type Entry struct {
	Time    time.Time
	Stream  Stream
	Partial bool   // the line's end is in a later entry of the same stream
	Text    []byte // without the line's end
}

func (f Format) check() error {
	if f != K8s && f != JSON {
		return fmt.Errorf("log format %q is neither %s nor %s", f, K8s, JSON)
	}
	return nil
}
