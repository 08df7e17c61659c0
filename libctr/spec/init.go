// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"

	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/internal/hint"
)

// CheckInit makes sure that path, on the host, can be a container's Options.Init: an
// ELF program that needs no dynamic loader, for that would be looked for in the image.
func CheckInit(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return hint.Add(field.Errorf("%s: %w", field.Name("init"), err), "install catatonit, or name another init with %s", field.Name("init-path"))
	}
	defer f.Close()
	dynamic, err := hasInterpreter(f)
	switch {
	case err != nil:
		return field.Errorf("%s: %s is not a program: %w", field.Name("init"), path, err)
	case dynamic:
		return hint.Add(field.Errorf("%s: %s is linked dynamically and cannot run in a container", field.Name("init"), path), "use catatonit or tini-static")
	}
	return nil
}

// hasInterpreter reports whether a program has a PT_INTERP header (elf(5)).
func hasInterpreter(f io.ReaderAt) (bool, error) {
	head := make([]byte, 64)
	if _, err := f.ReadAt(head, 0); err != nil {
		return false, err
	}
	if string(head[:4]) != "\x7fELF" || head[4] < 1 || head[4] > 2 || head[5] < 1 || head[5] > 2 {
		return false, fmt.Errorf("no ELF header")
	}
	var order binary.ByteOrder = binary.LittleEndian
	if head[5] == 2 {
		order = binary.BigEndian
	}
	off, size, count := int64(order.Uint32(head[28:])), order.Uint16(head[42:]), order.Uint16(head[44:])
	if head[4] == 2 {
		off, size, count = int64(order.Uint64(head[32:])), order.Uint16(head[54:]), order.Uint16(head[56:])
	}
	const ptInterp = 3
	typ := make([]byte, 4)
	for i := range int64(count) {
		if _, err := f.ReadAt(typ, off+i*int64(size)); err != nil {
			return false, err
		}
		if order.Uint32(typ) == ptInterp {
			return true, nil
		}
	}
	return false, nil
}
