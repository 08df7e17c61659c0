// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"testing"
)

func TestExists(t *testing.T) {
	var exit *ExitError
	if err := Exists(nil, fs.ErrNotExist); err != nil {
		t.Errorf("one that is there: %v", err)
	}
	if err := Exists(fmt.Errorf("look: %w", fs.ErrNotExist), fs.ErrNotExist); !errors.As(err, &exit) || exit.Code != 1 {
		t.Errorf("one that is not there: %v", err)
	}
	if err := Exists(fs.ErrPermission, fs.ErrNotExist); !errors.Is(err, fs.ErrPermission) {
		t.Errorf("one that cannot be read: %v", err)
	}
}
