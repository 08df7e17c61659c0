// SPDX-License-Identifier: Apache-2.0

package secret

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/berth-containers/berth/internal/atomicfile"
	"go.podman.io/storage/pkg/lockfile"
)

// driver keeps what secrets hold, by ID. The errors of lookup and remove wrap ErrNoSuchSecret where it has none of that ID.
type driver interface {
	store(ctx context.Context, id string, data []byte) error
	lookup(ctx context.Context, id string) ([]byte, error)
	remove(ctx context.Context, id string) error
}

// newDriver returns a secret's driver. Their options are podman's:
//
//	file   path=DIR
//	pass   root=DIR, key=GPGKEY, gpghomedir=DIR
//	shell  list=, lookup=, store=, delete=: commands for sh
func newDriver(s *Secret) (driver, error) {
	known := map[string][]string{"file": {"path"}, "pass": {"root", "key", "gpghomedir"}, "shell": {"list", "lookup", "store", "delete"}}[s.Driver]
	if known == nil {
		return nil, fmt.Errorf("secret driver %q: invalid driver: want file, pass or shell", s.Driver)
	}
	for name := range s.DriverOptions {
		if !slices.Contains(known, name) && s.Driver != "file" { // podman 4.3 gives the driver file any
			return nil, fmt.Errorf("option %q of secret driver %s: want %s", name, s.Driver, strings.Join(known, ", "))
		}
	}
	switch s.Driver {
	case "pass":
		return newPass(s.DriverOptions)
	case "shell":
		for _, name := range known {
			if s.DriverOptions[name] == "" {
				return nil, fmt.Errorf("secret driver shell: missing config value: %s", name)
			}
		}
		return shellDriver(s.DriverOptions), nil
	}
	return fileDriver{s.DriverOptions["path"]}, nil
}

// fileDriver keeps data in one file, DIR/secretsdata.json.
type fileDriver struct{ dir string }

func (d fileDriver) change(ctx context.Context, work func(map[string][]byte) (bool, error)) error {
	if err := os.MkdirAll(d.dir, 0o700); err != nil {
		return err
	}
	return locked(ctx, filepath.Join(d.dir, "secretsdata.lock"), (*lockfile.LockFile).Lock, func() error {
		path := filepath.Join(d.dir, "secretsdata.json")
		all := map[string][]byte{}
		if err := readJSON(path, &all); err != nil {
			return err
		}
		changed, err := work(all)
		if err != nil || !changed {
			return err
		}
		data, err := json.MarshalIndent(all, "", "  ")
		if err != nil {
			return err
		}
		return atomicfile.Write(path, data, 0o600, true)
	})
}

func (d fileDriver) store(ctx context.Context, id string, data []byte) error {
	return d.change(ctx, func(all map[string][]byte) (bool, error) {
		all[id] = data
		return true, nil
	})
}

func (d fileDriver) lookup(ctx context.Context, id string) (data []byte, err error) {
	err = d.change(ctx, func(all map[string][]byte) (bool, error) {
		var there bool
		if data, there = all[id]; !there {
			return false, fmt.Errorf("%s: %w", id, ErrNoSuchSecret)
		}
		return false, nil
	})
	return data, err
}

func (d fileDriver) remove(ctx context.Context, id string) error {
	return d.change(ctx, func(all map[string][]byte) (bool, error) {
		if _, there := all[id]; !there {
			return false, fmt.Errorf("%s: %w", id, ErrNoSuchSecret)
		}
		delete(all, id)
		return true, nil
	})
}

// passDriver has gpg encrypt each secret into a file of a password store: ROOT/ID.gpg.
type passDriver struct{ root, key, gpgHome string }

func newPass(opts map[string]string) (passDriver, error) {
	d := passDriver{root: opts["root"], key: opts["key"], gpgHome: opts["gpghomedir"]}
	if home, err := os.UserHomeDir(); err == nil && d.root == "" {
		for _, dir := range []string{".password-store", ".local/share/gopass/stores/root"} {
			if st, err := os.Stat(filepath.Join(home, dir)); err == nil && st.IsDir() {
				d.root = filepath.Join(home, dir)
				break
			}
		}
	}
	if d.root == "" {
		return d, errors.New("secret driver pass: there is no password store: give the option root")
	}
	for dir := d.root; d.key == ""; dir = filepath.Dir(dir) {
		id, err := os.ReadFile(filepath.Join(dir, ".gpg-id"))
		if d.key = strings.TrimSpace(string(id)); err == nil && d.key != "" || dir == filepath.Dir(dir) {
			break
		}
	}
	return d, nil
}

func (d passDriver) path(id string) string { return filepath.Join(d.root, id+".gpg") }

func (d passDriver) gpg(args ...string) []string {
	if d.gpgHome != "" {
		args = append([]string{"--homedir", d.gpgHome}, args...)
	}
	return append([]string{"gpg", "--batch"}, args...)
}

func (d passDriver) store(ctx context.Context, id string, data []byte) error {
	if d.key == "" {
		return fmt.Errorf("secret driver pass: %s has no .gpg-id: give the option key", d.root)
	}
	_, err := run(ctx, id, data, d.gpg("--encrypt", "-r", d.key, "-o", d.path(id))...)
	return err
}

func (d passDriver) lookup(ctx context.Context, id string) ([]byte, error) {
	if _, err := os.Lstat(d.path(id)); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", id, ErrNoSuchSecret)
	}
	return run(ctx, id, nil, d.gpg("--decrypt", d.path(id))...)
}

func (d passDriver) remove(_ context.Context, id string) error {
	err := os.Remove(d.path(id))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s: %w", id, ErrNoSuchSecret)
	}
	return err
}

// shellDriver has commands of the user's keep secrets. SECRET_ID in their environment says which.
type shellDriver map[string]string

func (d shellDriver) sh(ctx context.Context, what, id string, stdin []byte) ([]byte, error) {
	return run(ctx, id, stdin, "/bin/sh", "-c", d[what])
}

func (d shellDriver) store(ctx context.Context, id string, data []byte) error {
	_, err := d.sh(ctx, "store", id, data)
	return err
}

func (d shellDriver) lookup(ctx context.Context, id string) ([]byte, error) {
	return d.sh(ctx, "lookup", id, nil)
}

// remove is told by the list alone that there is nothing to delete.
func (d shellDriver) remove(ctx context.Context, id string) error {
	_, err := d.sh(ctx, "delete", id, nil)
	if err == nil {
		return nil
	}
	list, lerr := d.sh(ctx, "list", id, nil)
	if lerr == nil && !slices.Contains(strings.Fields(string(list)), id) {
		return fmt.Errorf("%s: %w", id, ErrNoSuchSecret)
	}
	return err
}

// run runs a program of a driver, and returns what it prints. The error has what it said.
func run(ctx context.Context, id string, stdin []byte, argv ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), "SECRET_ID="+id)
	var out, said bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(stdin), &out, &said
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("run %s of the secret's driver: %w: %s", argv[0], err, strings.TrimSpace(said.String()))
	}
	return out.Bytes(), nil
}
