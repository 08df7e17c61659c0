// SPDX-License-Identifier: Apache-2.0

package library

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/berth-containers/berth/internal/hint"
	"go.podman.io/image/v5/pkg/compression"
)

const importHint = "import takes a tar archive of a file system, plain or compressed; an image archive is for: %s"

// checkTar reports whether the file begins like a tar archive, plain or compressed: the
// storage library takes anything for an empty layer.
func checkTar(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	plain, _, err := compression.AutoDecompress(f)
	if err == nil {
		defer plain.Close()
		_, err = tar.NewReader(plain).Next()
	}
	if err == nil || errors.Is(err, io.EOF) { // an archive of no files is one
		st, serr := f.Stat()
		if serr == nil && st.Size() > 0 {
			return nil
		}
		err = errors.New("the file is empty")
	}
	return hint.Add(fmt.Errorf("not a tar archive: %w", err), importHint, hint.To(hint.LoadImages))
}
