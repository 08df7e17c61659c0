// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"context"
	"errors"
	"io"

	"github.com/berth-containers/berth/libctr/transfer"
)

// Export writes the files of a container, running or not, to w as a tar archive, with the IDs that they have in it. What is mounted in the
// container is not part of it. The process has to be in the user namespace.
func (e *Engine) Export(ctx context.Context, c *Container, w io.Writer) error {
	return about("export", c, e.export(ctx, c, w))
}

func (e *Engine) export(ctx context.Context, c *Container, w io.Writer) (err error) {
	r, err := e.openBareRoot(ctx, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	top, err := r.root.Find("/")
	if err != nil {
		return err
	}
	defer top.Close()
	return transfer.Copy(ctx, &transfer.Tree{Top: top, IDs: r.ids.inside}, transfer.NewArchiveWriter(w))
}
