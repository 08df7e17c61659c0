// SPDX-License-Identifier: Apache-2.0

// Package secret keeps secrets: named data that containers are given, and that nothing else shows. They are where podman has them and in
// its format, GRAPHROOT/secrets, so that the two see the same ones (docs/decisions/0050). What a secret holds is kept by its driver.
package secret

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// What callers act upon; they come wrapped.
var (
	ErrNoSuchSecret = errors.New("no such secret")
	ErrNameInUse    = errors.New("secret name in use")
)

// MaxSize is the size in bytes that a secret has to be smaller than, as in podman.
const MaxSize = 512000

const idLength = 25

// Secret is what is known of a secret, without what it holds. The names in JSON are podman's.
type Secret struct {
	Name          string            `json:"name"`
	ID            string            `json:"id"`
	Labels        map[string]string `json:"labels,omitempty"`
	Metadata      map[string]string `json:"metadata,omitempty"` // podman's own
	CreatedAt     time.Time         `json:"createdAt"`
	UpdatedAt     time.Time         `json:"updatedAt"`
	Driver        string            `json:"driver"`
	DriverOptions map[string]string `json:"driverOptions"`
}

// CreateOptions are those of Create.
type CreateOptions struct {
	Driver        string            // file, pass or shell; empty is file
	DriverOptions map[string]string // see newDriver
	Labels        map[string]string
	Replace       bool // the one of that name, if there is one
	Ignore        bool // return the one of that name, if there is one, as it is
}

// Create keeps a secret. The error wraps ErrNameInUse where there is one of that name, unless the options say what to do then. A secret that is
// replaced is there, old or new, at every moment.
func (s *Store) Create(ctx context.Context, name string, data []byte, o CreateOptions) (Secret, error) {
	if err := checkName(name); err != nil {
		return Secret{}, err
	}
	if len(data) == 0 || len(data) >= MaxSize {
		return Secret{}, fmt.Errorf("secret data must be larger than 0 and less than %d bytes", MaxSize)
	}
	if o.Replace && o.Ignore {
		return Secret{}, errors.New("ignore and replace exclude each other")
	}
	new := Secret{Name: name, Labels: o.Labels, Driver: o.Driver, DriverOptions: maps.Clone(o.DriverOptions)}
	s.complete(&new)
	d, err := newDriver(&new)
	if err != nil {
		return Secret{}, err
	}
	err = s.change(ctx, func(db *database) (err error) {
		old, taken := db.Secrets[db.NameToID[name]]
		switch {
		case taken && o.Ignore:
			new = old
			return nil
		case taken && !o.Replace:
			return fmt.Errorf("%s: %w", name, ErrNameInUse)
		}
		new.UpdatedAt = time.Now()
		if new.CreatedAt = new.UpdatedAt; taken {
			new.CreatedAt = old.CreatedAt
		}
		if new.ID, err = db.newID(); err != nil {
			return err
		}
		doubtful := []Secret{new}
		if taken {
			doubtful = append(doubtful, old)
		}
		if err := s.doubt(doubtful...); err != nil {
			return err
		}
		if err := d.store(ctx, new.ID, data); err != nil {
			_, serr := s.settle(context.WithoutCancel(ctx), db)
			return errors.Join(fmt.Errorf("creating secret %s: %w", name, err), serr)
		}
		if taken {
			db.remove(old)
		}
		db.add(new)
		if err := db.write(s.dir); err != nil {
			return fmt.Errorf("creating secret %s: %w", name, err)
		}
		_, err = s.settle(ctx, db)
		return err
	})
	return new, err
}

// Remove removes a secret, by its name, its ID, or the beginning of its ID, and returns it. Containers that were given it keep it. The error
// wraps ErrNoSuchSecret.
func (s *Store) Remove(ctx context.Context, nameOrID string) (gone Secret, err error) {
	err = s.change(ctx, func(db *database) error {
		if gone, err = db.find(nameOrID); err != nil {
			return err
		}
		if err := s.doubt(gone); err != nil {
			return err
		}
		db.remove(gone)
		if err := db.write(s.dir); err != nil {
			return fmt.Errorf("deleting secret %s: %w", nameOrID, err)
		}
		failed, err := s.settle(ctx, db)
		if failed[gone.ID] == nil {
			return err
		}
		db.add(gone) // its driver has it still
		err = errors.Join(fmt.Errorf("deleting secret %s: %w", nameOrID, failed[gone.ID]), err, db.write(s.dir))
		_, serr := s.settle(ctx, db)
		return errors.Join(err, serr)
	})
	return gone, err
}

// List returns every secret, by name.
func (s *Store) List(ctx context.Context) ([]Secret, error) {
	db, err := s.load(ctx)
	if err != nil {
		return nil, err
	}
	return slices.SortedFunc(maps.Values(db.Secrets), func(a, b Secret) int { return strings.Compare(a.Name, b.Name) }), nil
}

// Find returns a secret by its name, its ID, or the beginning of its ID. The error wraps ErrNoSuchSecret.
func (s *Store) Find(ctx context.Context, nameOrID string) (Secret, error) {
	db, err := s.load(ctx)
	if err != nil {
		return Secret{}, err
	}
	return db.find(nameOrID)
}

// Lookup is Find and Data.
func (s *Store) Lookup(ctx context.Context, nameOrID string) (Secret, []byte, error) {
	for {
		found, err := s.Find(ctx, nameOrID)
		if err != nil {
			return Secret{}, nil, err
		}
		data, err := s.Data(ctx, found)
		if again, ferr := s.Find(ctx, nameOrID); err == nil || ferr != nil || again.ID == found.ID {
			return found, data, err
		} // replaced this moment
	}
}

// Data returns what a secret holds.
func (s *Store) Data(ctx context.Context, secret Secret) ([]byte, error) {
	d, err := newDriver(&secret)
	if err != nil {
		return nil, err
	}
	data, err := d.lookup(ctx, secret.ID)
	if err != nil {
		return nil, fmt.Errorf("secret %s: %w", secret.Name, err)
	}
	return data, nil
}

// checkName refuses what podman refuses, and besides what is no name of a file: that is what most containers get it as.
func checkName(name string) error {
	if name == "" || len(name) > 253 || strings.ContainsAny(name, ",/=\x00") {
		return fmt.Errorf("secret name %q can not include '=', '/', ',', or the '\\0' (NULL) and be between 1 and 253 characters: invalid secret name", name)
	}
	if name == "." || name == ".." || strings.ContainsAny(name, "\n\r") {
		return fmt.Errorf("secret name %q can be no file's: invalid secret name", name)
	}
	return nil
}

// newID returns an ID that no secret has.
func (db *database) newID() (string, error) {
	for {
		var b [16]byte
		if _, err := rand.Read(b[:]); err != nil {
			return "", err
		}
		if id := hex.EncodeToString(b[:])[:idLength]; db.IDToName[id] == "" && db.NameToID[id] == "" {
			return id, nil
		}
	}
}
