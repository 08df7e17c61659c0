// SPDX-License-Identifier: Apache-2.0

package logfile

import (
	"bytes"
	"encoding/json"
	"errors"
	"time"
)

var (
	errBadLine   = errors.New("not a log entry")
	errBadStream = errors.New("stream is neither stdout nor stderr")
)

// decode reads one line of a log file, without its line end. The text may share
// line's memory.
func (f Format) decode(line []byte) (Entry, error) {
	if f == JSON {
		return decodeJSON(line)
	}
	return decodeK8s(line)
}

func decodeK8s(line []byte) (Entry, error) {
	stamp, rest, ok1 := bytes.Cut(line, []byte{' '})
	stream, rest, ok2 := bytes.Cut(rest, []byte{' '})
	tag, text, ok3 := bytes.Cut(rest, []byte{' '})
	if !ok1 || !ok2 || (!ok3 && len(tag) == 0) {
		return Entry{}, errBadLine
	}
	// CRI: further tags may follow the first, separated by colons.
	tag, _, _ = bytes.Cut(tag, []byte{':'})
	e := Entry{Text: text, Partial: string(tag) == "P"}
	if !e.Partial && string(tag) != "F" {
		return Entry{}, errBadLine
	}
	return e, e.setSource(string(stamp), string(stream))
}

func decodeJSON(line []byte) (Entry, error) {
	var raw struct{ Log, Stream, Time string }
	if err := json.Unmarshal(line, &raw); err != nil {
		return Entry{}, err
	}
	text, full := bytes.CutSuffix([]byte(raw.Log), []byte{'\n'})
	e := Entry{Text: text, Partial: !full}
	return e, e.setSource(raw.Time, raw.Stream)
}

func (e *Entry) setSource(stamp, stream string) (err error) {
	switch stream {
	case "stdout":
		e.Stream = Stdout
	case "stderr":
		e.Stream = Stderr
	default:
		return errBadStream
	}
	e.Time, err = time.Parse(time.RFC3339Nano, stamp)
	return err
}
