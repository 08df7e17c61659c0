// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	libseccomp "github.com/seccomp/libseccomp-golang"
	"go.podman.io/common/pkg/seccomp"
	"golang.org/x/sys/unix"

	"github.com/berth-containers/berth/internal/atomicfile"
)

// CompiledSeccomp carries a compiled filter, which crun since 0.18 uses instead of
// compiling linux.seccomp (crun(1), "run.oci.seccomp_bpf_data"); other runtimes ignore it.
const CompiledSeccomp = "run.oci.seccomp_bpf_data"

// keptFilters is how many compiled filters dir keeps: one for each set of capabilities in use.
const keptFilters = 32

// PrecompileSeccomp spares crun the compilation of s.Linux.Seccomp, which takes most
// of the time of a start where crun is built without its own cache, as Debian's is.
// The filter is compiled once, by the same library, and kept in dir, which is made if
// need be and must belong to the caller alone. s keeps its profile for other runtimes.
//
// It does nothing for a specification without a filter, with one that has a
// listener, or with a filter of the user's own in the annotation.
func PrecompileSeccomp(s *specs.Spec, dir string) error {
	filter := s.Linux.Seccomp
	if filter == nil || filter.ListenerPath != "" || s.Annotations[CompiledSeccomp] != "" {
		return nil
	}
	key, err := filterKey(filter)
	if err != nil {
		return err
	}
	path := filepath.Join(dir, key)
	program, ok := readFilter(path)
	if !ok {
		if program, err = compileFilter(filter); err != nil {
			return fmt.Errorf("compile the seccomp filter: %w", err)
		}
		if err := keepFilter(dir, path, program); err != nil {
			return fmt.Errorf("keep the seccomp filter: %w", err)
		}
	}
	if s.Annotations == nil {
		s.Annotations = map[string]string{}
	}
	s.Annotations[CompiledSeccomp] = base64.StdEncoding.EncodeToString(program)
	return nil
}

// filterKey names all that the compiled filter depends on.
func filterKey(filter *specs.LinuxSeccomp) (string, error) {
	profile, err := json.Marshal(filter)
	if err != nil {
		return "", err
	}
	major, minor, micro := libseccomp.GetLibraryVersion()
	h := sha256.New()
	fmt.Fprintf(h, "1 %d.%d.%d ", major, minor, micro)
	h.Write(profile)
	return hex.EncodeToString(h.Sum(nil)), nil
}

// readFilter reads a kept filter; a damaged one counts as none.
func readFilter(path string) ([]byte, bool) {
	data, err := os.ReadFile(path)
	if err != nil || len(data) <= sha256.Size {
		return nil, false
	}
	sum := sha256.Sum256(data[sha256.Size:])
	return data[sha256.Size:], bytes.Equal(sum[:], data[:sha256.Size])
}

func keepFilter(dir, path string, program []byte) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	list, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for i := 0; i <= len(list)-keptFilters; i++ { // which ones go does not matter: they can be made again
		if err := os.Remove(filepath.Join(dir, list[i].Name())); err != nil && !os.IsNotExist(err) {
			return err
		}
	}
	sum := sha256.Sum256(program)
	return atomicfile.Write(path, append(sum[:], program...), 0o600, false)
}

// compileFilter makes the program for seccomp(2).
func compileFilter(profile *specs.LinuxSeccomp) ([]byte, error) {
	filter, err := seccomp.BuildFilter(profile)
	if err != nil {
		return nil, err
	}
	defer filter.Release()
	fd, err := unix.MemfdCreate("seccomp", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "seccomp")
	defer f.Close()
	if err := filter.ExportBPF(f); err != nil {
		return nil, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	return io.ReadAll(f)
}
