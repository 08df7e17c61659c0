// SPDX-License-Identifier: Apache-2.0

package build

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/berth-containers/berth/internal/gitrun"
	"golang.org/x/sys/unix"
)

// buildah runs git for repositories that are a context or the source of an ADD, wherever it finds that in PATH. In a session it finds
// this program first, which runs git within bounds (package gitrun).

// programs is a directory in that of a session's temporary files.
const programs = "bin"

// putGit puts this program in front of git.
func (s *Session) putGit() error {
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	dir := filepath.Join(s.tmp, programs)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	if err := os.Symlink(exe, filepath.Join(dir, "git")); err != nil {
		return err
	}
	s.path = os.Getenv("PATH")
	return os.Setenv("PATH", dir+string(filepath.ListSeparator)+s.path)
}

// RunGit is git, where this program was started for that. It returns false where it was not.
func RunGit(args []string) bool {
	if len(args) == 0 || args[0] != "git" {
		return false
	}
	err := runGit(args[1:])
	var exit *exec.ExitError
	switch {
	case err == nil:
		return true
	case errors.As(err, &exit):
		os.Exit(cmp.Or(max(exit.ExitCode(), 0), 128)) // git has said why
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(128)
	return true
}

func runGit(args []string) error {
	path, err := findGit()
	if err != nil {
		return err
	}
	if len(args) == 0 || args[0] != "fetch" && args[0] != "checkout" {
		// It brings nothing, or is not of buildah's: only these are run in a repository of the build's.
		return unix.Exec(path, append([]string{"git"}, args...), os.Environ())
	}
	dir, err := os.Getwd()
	if err != nil {
		return err
	}
	cmd := exec.Command(path, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	return gitrun.Run(cmd, dir)
}

// findGit finds the git that is not this program.
func findGit() (string, error) {
	self, err := os.Stat("/proc/self/exe")
	if err != nil {
		return "", err
	}
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		path := filepath.Join(dir, "git")
		if found, err := os.Stat(path); err != nil || os.SameFile(found, self) || !filepath.IsAbs(path) {
			continue
		}
		if path, err := exec.LookPath(path); err == nil {
			return path, nil
		}
	}
	return "", &exec.Error{Name: "git", Err: exec.ErrNotFound}
}
