// SPDX-License-Identifier: Apache-2.0

// Package writable keeps the writable layers of containers, and knows which image each of them needs.
//
// What a container changes lies in a directory of Berth's, GRAPHROOT/berth/rw/IMAGE/CONTAINER, on top of the image's layers in the
// store. The store has one container record for each image that is used so, its pin: it keeps every engine on the store from
// removing the image, and its layer names the layers below. So a new container is a few directories, and its removal a rename,
// where a record in the store would rewrite the lists of all layers and containers (docs/decisions/0042).
package writable

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Files in the directory of a layer.
const (
	Upper = "diff" // what the container has changed: overlay's upperdir
	Work  = "work" // overlay's workdir
	Log   = "ctr.log"

	owner = "container" // a symbolic link to the directory of the container's record
)

// Dir is GRAPHROOT/berth/rw, where all layers are.
type Dir string

// In returns the directory in a store.
func In(graphRoot string) Dir { return Dir(filepath.Join(graphRoot, "berth/rw")) }

// NoImage stands for the image's ID in the paths of layers that are on top of a directory of the user's.
const NoImage = "rootfs"

// Lock is held shared from before a layer is made until its image is seen to be pinned, and exclusively while a pin is made or
// removed. It waits, which is for moments only; Close lets go.
func (d Dir) Lock(how int) (*os.File, error) {
	f, err := os.Open(string(d))
	if errors.Is(err, fs.ErrNotExist) {
		if err = os.MkdirAll(string(d), 0o700); err == nil {
			f, err = os.Open(string(d))
		}
	}
	if err != nil {
		return nil, err
	}
	for {
		err := unix.Flock(int(f.Fd()), how)
		if err == nil {
			return f, nil
		}
		if err != unix.EINTR {
			return nil, errors.Join(fmt.Errorf("lock %s: %w", d, err), f.Close())
		}
	}
}

// Claim makes the directory of a container's layer, which makes the container a user of its image. The name is the container's ID, or Mounted; the
// container's record is, or will be, in the directory record. The caller holds the lock.
func (d Dir) Claim(image, name, record string) (path string, err error) {
	path = d.path(image, name)
	err = os.Mkdir(path, 0o700)
	if errors.Is(err, fs.ErrNotExist) { // the first one of the image
		err = os.MkdirAll(path, 0o700)
	}
	if err != nil {
		return "", err
	}
	// A record in the store is found from wherever the store is seen: under another path, too.
	if inStore, err := filepath.Rel(filepath.Dir(string(d)), record); err == nil && filepath.IsLocal(inStore) {
		record = filepath.Join("../../..", inStore)
	}
	return path, os.Symlink(record, filepath.Join(path, owner))
}

// Fill makes the layer in a directory that was claimed. Its root has the mode and the owner of the directory like.
func Fill(path, like string) error {
	var st unix.Stat_t
	if err := unix.Stat(like, &st); err != nil {
		return &fs.PathError{Op: "stat", Path: like, Err: err}
	}
	upper := filepath.Join(path, Upper)
	for _, dir := range []string{upper, filepath.Join(path, Work)} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			return err
		}
	}
	if int(st.Uid) != os.Geteuid() || int(st.Gid) != os.Getegid() {
		if err := os.Lchown(upper, int(st.Uid), int(st.Gid)); err != nil {
			return err
		}
	}
	return unix.Chmod(upper, st.Mode&0o7777)
}

func (d Dir) path(image, name string) string { return filepath.Join(string(d), image, name) }

// Images returns the IDs of the images that have, or had, layers on top of them.
func (d Dir) Images() ([]string, error) { return names(string(d)) }

// Users returns the IDs of the containers with a layer on top of an image: their own, or that of a mount.
func (d Dir) Users(image string) ([]string, error) {
	list, err := d.layers(image)
	for i, name := range list {
		list[i], _, _ = strings.Cut(name, "-")
	}
	return slices.Compact(list), err // they are sorted
}

func (d Dir) layers(image string) ([]string, error) { return names(filepath.Join(string(d), image)) }

// Mounted is what the layer of a container is called, in place of the container's ID, with which it has an image mounted: its n-th mount.
func Mounted(container string, n int) string { return fmt.Sprintf("%s-%d", container, n) }

func names(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	list := make([]string, 0, len(entries))
	for _, e := range entries {
		if e.IsDir() {
			list = append(list, e.Name())
		}
	}
	return list, nil
}

// Find returns the directories of a container's layers.
func (d Dir) Find(container string) (paths []string, err error) {
	images, err := d.Images()
	if err != nil {
		return nil, err
	}
	for _, image := range images {
		layers, err := d.layers(image)
		if err != nil {
			return nil, err
		}
		for _, name := range layers {
			if of, _, _ := strings.Cut(name, "-"); of == container {
				paths = append(paths, d.path(image, name))
			}
		}
	}
	return paths, nil
}

// Strays returns the directories of layers whose container is gone: there is no directory for its record. That comes before the
// layer, and goes after it. A record in a runtime directory that is not seen from here, as one of another mount namespace, may be there;
// those in runtime, the caller's own directory for records that end with the boot, are seen. The caller holds the lock exclusively.
func (d Dir) Strays(runtime string) ([]string, error) {
	images, err := d.Images()
	if err != nil {
		return nil, err
	}
	var strays []string
	for _, image := range images {
		layers, err := d.layers(image)
		if err != nil {
			return nil, err
		}
		for _, name := range layers {
			path := d.path(image, name)
			if gone, err := recordGone(path, runtime); err != nil {
				return nil, err
			} else if gone {
				strays = append(strays, path)
			}
		}
	}
	return strays, nil
}

// recordGone reports whether the container of a layer has no record.
func recordGone(path, runtime string) (bool, error) {
	record, err := os.Readlink(filepath.Join(path, owner))
	if errors.Is(err, fs.ErrNotExist) { // whoever claimed the directory was killed that moment
		return true, nil
	}
	if err != nil {
		return false, err
	}
	if !filepath.IsAbs(record) {
		record = filepath.Join(path, record)
	}
	if _, err := os.Stat(record); !errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	records := filepath.Dir(record)
	_, err = os.Stat(records)
	return err == nil || records == runtime, nil
}

// Pin is the ID of the container in the store that pins an image, and Layer that of its layer.
func Pin(image string) string   { return id("pin of image " + image) }
func Layer(image string) string { return id("layer of the pin of image " + image) }

func id(of string) string {
	sum := sha256.Sum256([]byte(of))
	return hex.EncodeToString(sum[:])
}

// Pinned reports whether the store whose driver is called so has the pin of an image.
func Pinned(graphRoot, driver, image string) (bool, error) {
	data, err := os.ReadFile(filepath.Join(graphRoot, driver+"-containers", "containers.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return bytes.Contains(data, []byte(`"`+Pin(image)+`"`)), err
}

// WithoutPins returns the IDs of the containers that use an image, given those that the store has for it: in place of its pin
// stand the containers that need it.
func (d Dir) WithoutPins(image string, containers []string) ([]string, error) {
	at := slices.Index(containers, Pin(image))
	if at < 0 {
		return containers, nil
	}
	users, err := d.Users(image)
	if err != nil {
		return nil, err
	}
	return slices.Replace(slices.Clone(containers), at, at+1, users...), nil
}

// IsPin reports whether the metadata of a container in the store is that of a pin.
func IsPin(metadata string) bool { return strings.HasPrefix(metadata, pinned) }

const pinned = `{"created-by":"berth","pins":`

// Metadata is what the pin of an image has as metadata.
func Metadata(image string) string { return fmt.Sprintf(pinned+"%q}", image) }
