// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// A layerLink is one of the overlay driver's short links, l/NAME, by which layers name those below them.
type layerLink struct{ name, layer string }

// missingLinks finds the layers whose short link is not there. A command killed while it made a layer may cost
// all of them: the layer's file link is empty then, and containers/storage removes l/ + "" with the layer
// (docs/decisions/0004).
func (e *Engine) missingLinks() ([]layerLink, error) {
	home := filepath.Join(e.storeOpts.GraphRoot, "overlay")
	if e.storeOpts.GraphDriverName != "overlay" {
		return nil, nil
	}
	layers, err := os.ReadDir(home)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("look at the layers: %w", err)
	}
	var missing []layerLink
	for _, l := range layers {
		data, err := os.ReadFile(filepath.Join(home, l.Name(), "link"))
		name := strings.TrimSpace(string(data))
		if err != nil || name == "" || strings.Contains(name, "/") {
			continue // no layer, or one that is being made
		}
		if _, err := os.Lstat(filepath.Join(home, "l", name)); errors.Is(err, fs.ErrNotExist) {
			missing = append(missing, layerLink{name, l.Name()})
		}
	}
	return missing, nil
}

// RemakeLinks restores missing short links of the overlay driver.
func (e *Engine) RemakeLinks() error {
	missing, err := e.missingLinks()
	if err != nil || len(missing) == 0 {
		return err
	}
	dir := filepath.Join(e.storeOpts.GraphRoot, "overlay/l")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("make the layers' links: %w", err)
	}
	for _, l := range missing {
		err := os.Symlink(filepath.Join("..", l.layer, "diff"), filepath.Join(dir, l.name))
		if err != nil && !errors.Is(err, fs.ErrExist) { // another command does the same
			return fmt.Errorf("make the layers' links: %w", err)
		}
	}
	return nil
}
