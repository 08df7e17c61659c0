// SPDX-License-Identifier: Apache-2.0

package build

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// userFileHelper is how buildah calls this program to read /etc/passwd or /etc/group of an image: NAME ROOT FILE...
const userFileHelper = "chrootuser-open"

// ReadUserFile does, where this program was started for that, what buildah's helper for reading an image's user files
// does: it copies files below a root directory to standard output. Buildah's own opens whatever is there, and waits for
// ever on a FIFO; this one reads regular files only (CVE-2024-9676). It returns false where it has nothing to do.
func ReadUserFile(args []string) bool {
	if len(args) < 3 || args[0] != userFileHelper {
		return false
	}
	if err := readUserFiles(args[1], args[2:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return true
}

func readUserFiles(root string, names []string, out io.Writer) error {
	if err := unix.Chdir(root); err != nil {
		return fmt.Errorf("enter %s: %w", root, err)
	}
	if err := unix.Chroot("."); err != nil {
		return fmt.Errorf("make %s the root: %w", root, err)
	}
	for _, name := range names {
		if err := copyRegular(name, out); err != nil {
			return fmt.Errorf("read %s of the image: %w", name, err)
		}
	}
	return nil
}

func copyRegular(name string, out io.Writer) error {
	// O_NONBLOCK: open(2) of a FIFO that nobody writes to would wait.
	f, err := os.OpenFile(name, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return err
	}
	if !st.Mode().IsRegular() {
		return errors.New("it is not a regular file")
	}
	_, err = io.Copy(out, f)
	return err
}
