// SPDX-License-Identifier: Apache-2.0

package build

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/berth-containers/berth/internal/unpack"
	"go.podman.io/image/v5/pkg/compression"
)

// buildah copies an image in the context (FROM oci:, dir:, oci-archive: or docker-archive:) to temporary files before anybody looks at
// it: a hole of 8 TiB in a blob is written as zeros, and what is packed is unpacked. It has this program read the files, as the
// storage library's helper. Here that helper's archive passes the bounds of package unpack on its way.

const (
	packerName = "storage-tar"
	notPacked  = "not-packed" // a file that says why, in the session's temporary directory
	// packerIsBounded keeps the helper from being put between once more.
	packerIsBounded = "_BERTH_PACKER_IS_BOUNDED"
)

// Pack is the helper, where this program was started for that in a build. It returns false where it has nothing to do.
func Pack(args []string) bool {
	if len(args) == 0 || args[0] != packerName || os.Getenv(packerIsBounded) != "" {
		return false
	}
	tmp := os.Getenv("TMPDIR")
	if _, err := os.Lstat(filepath.Join(tmp, programs)); err != nil {
		return false // no build of ours
	}
	if err := pack(args, tmp); err != nil {
		fmt.Fprint(os.Stderr, err)
		_ = os.WriteFile(filepath.Join(tmp, notPacked), []byte(err.Error()), 0o600) // of COPY --from, buildah says no more than that there is no image
		os.Exit(1)
	}
	return true
}

func pack(args []string, tmp string) error {
	var options struct{ IncludeFiles []string }
	asked, err := io.ReadAll(os.Stdin)
	if err == nil {
		err = json.Unmarshal(asked, &options)
	}
	if err != nil {
		return fmt.Errorf("read what to pack: %w", err)
	}
	limits, err := unpack.LimitsFromEnv()
	if err != nil {
		return err
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Args, cmd.Env = args, append(os.Environ(), packerIsBounded+"=1")
	cmd.Stdin, cmd.Stderr = bytes.NewReader(asked), os.Stderr
	files, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	bounds := unpack.Options{Limits: limits, What: "the image in the context", Dir: tmp}
	if len(options.IncludeFiles) == 1 {
		bounds.What = unpack.Describe("archive", options.IncludeFiles[0])
		err = packArchive(os.Stdout, files, bounds)
	} else {
		_, err = io.Copy(os.Stdout, unpack.NewReader(files, bounds))
	}
	files.Close() // which ends what is still at work
	if ended := cmd.Wait(); err == nil {
		err = ended
	}
	return err
}

// packArchive writes the archive in, which holds one file, an archive too. That is written unpacked, for buildah would unpack it without
// bounds, and with a size that it does not have, which is not known yet: buildah reads up to its end, and no further.
func packArchive(w io.Writer, in io.Reader, bounds unpack.Options) error {
	outer := tar.NewReader(in)
	hdr, err := outer.Next()
	if err == io.EOF {
		return tar.NewWriter(w).Close()
	}
	if err != nil {
		return err
	}
	if hdr.Typeflag != tar.TypeReg {
		return tar.NewWriter(w).WriteHeader(hdr) // buildah says so
	}
	packed := &beginning{r: outer}
	plain, isPacked, err := compression.AutoDecompress(packed)
	if err != nil {
		return err
	}
	defer plain.Close()
	if isPacked {
		bounds.Packed = packed.n.Load
	}
	hdr.Size, hdr.Format = 1<<60, tar.FormatGNU
	if err := tar.NewWriter(w).WriteHeader(hdr); err != nil {
		return err
	}
	_, err = io.Copy(w, unpack.NewReader(plain, bounds))
	return err
}
