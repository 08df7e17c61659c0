// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"
)

func TestCRIUVersion(t *testing.T) {
	for text, want := range map[string]int{"Version: 3.17.1\n": 31701, "Version: 4.0\nGitID: v4.0\n": 40000, "Version: 3.11-dirty\n": 31100, "criu": 0, "": 0} {
		if got := criuVersion(text); got != want {
			t.Errorf("criuVersion(%q) = %d, want %d", text, got, want)
		}
	}
}

func TestCRIUStatistics(t *testing.T) {
	var dump []byte
	for n, v := range map[uint64]uint64{1: 11, 2: 12, 5: 15, 7: 1700, 99: 1} {
		dump = binary.AppendUvarint(binary.AppendUvarint(dump, n<<3), v)
	}
	entry := append(binary.AppendUvarint([]byte{1<<3 | 2}, uint64(len(dump))), dump...)
	file := binary.LittleEndian.AppendUint32(nil, 0x55105940)
	file = binary.LittleEndian.AppendUint32(file, 0x57093306)
	file = binary.LittleEndian.AppendUint32(file, uint32(len(entry)))
	path := filepath.Join(t.TempDir(), "stats-dump")
	read := func(data []byte) (CRIUStatistics, error) {
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return readCRIUStatistics(path)
	}
	want := CRIUStatistics{FreezingTime: 11, FrozenTime: 12, PagesScanned: 15, PagesWritten: 1700}
	if got, err := read(append(file, entry...)); err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	for name, data := range map[string][]byte{"empty": nil, "cut": file, "cut entry": append(file, entry[:3]...), "other": make([]byte, 20)} {
		if _, err := read(data); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if got, err := readCRIUStatistics(path + "-none"); err != nil || got != (CRIUStatistics{}) {
		t.Errorf("no file: %+v, %v", got, err)
	}
}
