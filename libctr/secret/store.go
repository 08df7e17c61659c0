// SPDX-License-Identifier: Apache-2.0

package secret

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/berth-containers/berth/internal/atomicfile"
	"go.podman.io/storage/pkg/lockfile"
)

const (
	databaseFile = "secrets.json" // podman's
	lockName     = "secrets.lock" // podman's; held by whoever reads or changes secrets.json
	fileData     = "filedriver"   // podman's; where the driver file keeps data unless it is told

	// doubtfulFile has the secrets whose data a driver may have although there is no such secret: they are being made, replaced or removed.
	doubtfulFile = "berth-doubtful.json"
)

// Store is the secrets of a directory.
type Store struct{ dir string }

// Open returns the store in dir, which need not exist; nothing is made before there is a secret.
func Open(dir string) *Store { return &Store{dir} }

// complete fills in what the driver is when nobody has said.
func (s *Store) complete(secret *Secret) {
	if secret.Driver == "" {
		secret.Driver = "file"
	}
	if secret.DriverOptions == nil {
		secret.DriverOptions = map[string]string{}
	}
	if secret.Driver == "file" && secret.DriverOptions["path"] == "" {
		secret.DriverOptions["path"] = filepath.Join(s.dir, fileData)
	}
}

// database is secrets.json.
type database struct {
	Secrets  map[string]Secret `json:"secrets"` // by ID
	NameToID map[string]string `json:"nameToID"`
	IDToName map[string]string `json:"idToName"`
}

func (db *database) add(s Secret) {
	db.Secrets[s.ID], db.NameToID[s.Name], db.IDToName[s.ID] = s, s.ID, s.Name
}

func (db *database) remove(s Secret) {
	delete(db.Secrets, s.ID)
	delete(db.NameToID, s.Name)
	delete(db.IDToName, s.ID)
}

func (db *database) find(nameOrID string) (Secret, error) {
	if s, ok := db.Secrets[nameOrID]; ok {
		return s, nil
	}
	if s, ok := db.Secrets[db.NameToID[nameOrID]]; ok {
		return s, nil
	}
	var found []Secret
	for id, s := range db.Secrets {
		if nameOrID != "" && strings.HasPrefix(id, nameOrID) {
			found = append(found, s)
		}
	}
	switch len(found) {
	case 0:
		return Secret{}, fmt.Errorf("no secret with name or id %q: %w", nameOrID, ErrNoSuchSecret)
	case 1:
		return found[0], nil
	}
	return Secret{}, fmt.Errorf("more than one result secret with prefix %s: secret is ambiguous", nameOrID)
}

func (db *database) write(dir string) error {
	data, err := json.MarshalIndent(db, "", "  ")
	if err != nil {
		return err
	}
	return atomicfile.Write(filepath.Join(dir, databaseFile), data, 0o600, true)
}

func (s *Store) read() (*database, error) {
	db := &database{Secrets: map[string]Secret{}, NameToID: map[string]string{}, IDToName: map[string]string{}}
	return db, readJSON(filepath.Join(s.dir, databaseFile), db)
}

// readJSON leaves v as it is where there is no file.
func readJSON(path string, v any) error {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(data) == 0 { // podman truncates it before it writes
		return nil
	}
	if err == nil {
		err = json.Unmarshal(data, v)
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	return nil
}

// load reads the secrets, after what a killed command has left is settled.
func (s *Store) load(ctx context.Context) (db *database, err error) {
	if _, err := os.Lstat(s.dir); errors.Is(err, fs.ErrNotExist) {
		return s.read()
	}
	if s.unsettled() {
		err := s.change(ctx, func(read *database) error { db = read; return nil })
		return db, err
	}
	err = locked(ctx, filepath.Join(s.dir, lockName), (*lockfile.LockFile).RLock, func() error {
		db, err = s.read()
		return err
	})
	return db, err
}

// change has work done on the secrets by this command alone.
func (s *Store) change(ctx context.Context, work func(*database) error) error {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return err
	}
	return locked(ctx, filepath.Join(s.dir, lockName), (*lockfile.LockFile).Lock, func() error {
		db, err := s.read()
		if err != nil {
			return err
		}
		if s.unsettled() {
			if _, err := s.settle(ctx, db); err != nil {
				return err
			}
		}
		return work(db)
	})
}

// unsettled reports whether a secret is being made, replaced or removed, or a command that did so was killed.
func (s *Store) unsettled() bool {
	_, err := os.Lstat(filepath.Join(s.dir, doubtfulFile))
	return err == nil
}

// Unsettled settles what killed commands have left, and returns the names of the secrets whose drivers cannot delete what they should.
func (s *Store) Unsettled(ctx context.Context) (names []string, err error) {
	if !s.unsettled() {
		return nil, nil
	}
	err = s.change(ctx, func(*database) error {
		list, err := s.doubtful()
		for _, d := range list {
			names = append(names, d.Name)
		}
		return err
	})
	return names, err
}

func (s *Store) doubtful() (list []Secret, err error) {
	return list, readJSON(filepath.Join(s.dir, doubtfulFile), &list)
}

// doubt notes secrets, besides those that could not be settled, before their drivers' data changes.
func (s *Store) doubt(secrets ...Secret) error {
	before, err := s.doubtful()
	if err != nil {
		return err
	}
	return s.noteDoubtful(append(secrets, before...))
}

func (s *Store) noteDoubtful(list []Secret) error {
	path := filepath.Join(s.dir, doubtfulFile)
	if len(list) == 0 {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	data, err := json.Marshal(list)
	if err != nil {
		return err
	}
	return atomicfile.Write(path, data, 0o600, true)
}

// settle has the drivers delete the data of doubtful secrets that are not in db. What a driver fails to delete stays doubtful, and keeps nobody
// from anything else: Unsettled tells.
func (s *Store) settle(ctx context.Context, db *database) (failed map[string]error, err error) {
	list, err := s.doubtful()
	if err != nil {
		return nil, err
	}
	var left []Secret
	failed = map[string]error{}
	for _, d := range list {
		if _, there := db.Secrets[d.ID]; there {
			continue
		}
		drv, err := newDriver(&d)
		if err == nil {
			err = drv.remove(ctx, d.ID)
		}
		if err != nil && !errors.Is(err, ErrNoSuchSecret) {
			left, failed[d.ID] = append(left, d), err
		}
	}
	return failed, s.noteDoubtful(left)
}

// locked does work under podman's lock at path, and gives up waiting for it when ctx ends.
func locked(ctx context.Context, path string, take func(*lockfile.LockFile), work func() error) error {
	l, err := lockfile.GetLockFile(path)
	if err != nil {
		return err
	}
	got := make(chan struct{})
	go func() {
		take(l)
		close(got)
	}()
	select {
	case <-got:
	case <-ctx.Done():
		go func() { // once it comes
			<-got
			l.Unlock()
		}()
		return ctx.Err()
	}
	defer l.Unlock()
	return work()
}
