// SPDX-License-Identifier: Apache-2.0

package monitor

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/berth-containers/berth/internal/held"
	"github.com/berth-containers/berth/libctr/record"
)

// holdSecrets copies the container's secrets into a tmpfs where the OCI spec says. It is in this process's mount namespace, and goes when the
// container, which has its files mounted, does.
func (m *Monitor) holdSecrets() (err error) {
	s := m.cfg.Secrets
	if s == nil {
		return nil
	}
	defer func() {
		if err != nil {
			err = fmt.Errorf("bring the secrets: %w", err)
		}
	}()
	m.releaseSecrets() // of a start that was killed
	if err := os.MkdirAll(filepath.Dir(s.At), 0o700); err != nil {
		return err
	}
	if err := os.Mkdir(s.At, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	if err := unix.Mount("tmpfs", s.At, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, s.Options); err != nil {
		return fmt.Errorf("mount a tmpfs: %w", err)
	}
	for i, f := range s.Files {
		name := strconv.Itoa(i)
		data, err := os.ReadFile(filepath.Join(m.cfg.Dir, record.SecretsDir, name))
		if err == nil {
			err = writeSecret(filepath.Join(s.At, name), data, f)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func writeSecret(path string, data []byte, s record.Secret) (err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := f.Write(data); err != nil {
		return err
	}
	return errors.Join(unix.Fchown(int(f.Fd()), int(s.HostUID), int(s.HostGID)), unix.Fchmod(int(f.Fd()), s.Mode))
}

// releaseSecrets undoes holdSecrets; what the container has mounted stays.
func (m *Monitor) releaseSecrets() {
	if m.cfg.Secrets != nil {
		held.Unmount(m.cfg.Secrets.At)
	}
}
