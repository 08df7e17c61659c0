// SPDX-License-Identifier: Apache-2.0

package journalctl

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"time"

	"github.com/berth-containers/berth/libctr/journald"
	"github.com/berth-containers/berth/libctr/logfile"
)

// program is a journalctl that runs.
type program struct {
	entries chan entry // closed at the end
	err     error      // why it ended, once entries is closed; nil if it had nothing more to show
	cancel  context.CancelFunc
	done    chan struct{}
}

// entry is one of the journal's.
type entry struct {
	logfile.Entry
	cursor string
	lost   int64 // more than 0 in an entry that says how many bytes are missing in front of it
}

// wanted are the fields that are read, besides those that are shown in any case.
var wanted = "MESSAGE,PRIORITY," + journald.PartialField + "," + journald.LostField

func run(args []string) (*program, error) {
	path, err := exec.LookPath("journalctl")
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background()) // ended by end
	cmd := exec.CommandContext(ctx, path, append([]string{"--quiet", "--no-pager", "--all", "--output=export", "--output-fields=" + wanted}, args...)...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		cancel()
		return nil, fmt.Errorf("run journalctl: %w", err)
	}
	p := &program{entries: make(chan entry), cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		defer close(p.entries)
		err := p.read(ctx, out)
		if err != nil {
			cancel()
		}
		if ended := cmd.Wait(); err == nil && ended != nil {
			err = failure(ended, said.String())
		}
		p.err = err
	}()
	return p, nil
}

// end ends the program, if it has not ended.
func (p *program) end() {
	p.cancel()
	<-p.done
}

func (p *program) read(ctx context.Context, out io.Reader) error {
	in := bufio.NewReaderSize(out, 64<<10)
	for {
		fields, err := readFields(in)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read what journalctl shows: %w", err)
		}
		e, ok := parse(fields)
		if !ok {
			continue
		}
		select {
		case p.entries <- e:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// parse reports whether an entry is one of a container's output.
func parse(fields map[string][]byte) (e entry, ok bool) {
	us, err := strconv.ParseInt(string(fields["__REALTIME_TIMESTAMP"]), 10, 64)
	if err != nil {
		return e, false
	}
	e.Time, e.Text, e.cursor = time.UnixMicro(us), fields["MESSAGE"], string(fields["__CURSOR"])
	e.Partial = string(fields[journald.PartialField]) == "true"
	if n, err := strconv.ParseInt(string(fields[journald.LostField]), 10, 64); err == nil && n > 0 {
		e.lost = n
		return e, true
	}
	switch string(fields["PRIORITY"]) {
	case journald.StdoutPriority:
		e.Stream = logfile.Stdout
	case journald.StderrPriority:
		e.Stream = logfile.Stderr
	default:
		return e, false
	}
	return e, true
}

// maxField bounds the memory that one field takes. Berth sends none that is nearly as long.
const maxField = 16 << 20

var errTooLong = errors.New("a field is longer than any that a container's log has")

// readFields reads an entry of the journal export format (systemd's "Journal Export Formats"). The error is io.EOF where there is none.
func readFields(in *bufio.Reader) (map[string][]byte, error) {
	fields := map[string][]byte{}
	for {
		line, err := readLine(in)
		if err == io.EOF && (len(fields) > 0 || len(line) > 0) {
			err = io.ErrUnexpectedEOF // it was killed
		}
		if err != nil {
			return nil, err
		}
		if len(line) == 0 {
			if len(fields) > 0 {
				return fields, nil
			}
			continue
		}
		name, value, simple := bytes.Cut(line, []byte{'='})
		if !simple {
			if value, err = readValue(in); err != nil {
				return nil, err
			}
		}
		fields[string(name)] = value
	}
}

func readLine(in *bufio.Reader) (line []byte, err error) {
	for {
		part, err := in.ReadSlice('\n')
		line = append(line, part...)
		if err == nil {
			return line[:len(line)-1], nil
		}
		if err != bufio.ErrBufferFull {
			return line, err
		}
		if len(line) > maxField {
			return line, errTooLong
		}
	}
}

func readValue(in *bufio.Reader) ([]byte, error) {
	var size [8]byte
	if _, err := io.ReadFull(in, size[:]); err != nil {
		return nil, cut(err)
	}
	n := binary.LittleEndian.Uint64(size[:])
	if n > maxField {
		return nil, errTooLong
	}
	value := make([]byte, n+1) // a line's end is behind it
	if _, err := io.ReadFull(in, value); err != nil {
		return nil, cut(err)
	}
	return value[:n], nil
}

// cut is err, for an entry that ends in its middle.
func cut(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
