// SPDX-License-Identifier: Apache-2.0

// Command plainbuild builds a Containerfile with buildah's library as it is, of the version that Berth is linked
// with, for tests that compare: no code of Berth takes part. It works in a store of its own.
//
//	plainbuild ROOT load ARCHIVE                  reads an image (oci-archive:FILE) into the store
//	plainbuild ROOT build FILE CONTEXT NAME       builds it with --timestamp 0 --layers, and prints the image's ID
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"go.podman.io/buildah"
	"go.podman.io/buildah/define"
	"go.podman.io/buildah/imagebuildah"
	"go.podman.io/image/v5/types"
	"go.podman.io/storage"
	"go.podman.io/storage/pkg/unshare"
	"golang.org/x/sys/unix"
)

func main() {
	if buildah.InitReexec() {
		return
	}
	unshare.MaybeReexecUsingUserNamespace(false)
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "plainbuild:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) (err error) {
	if len(args) < 3 {
		return errors.New("usage: plainbuild ROOT load ARCHIVE | plainbuild ROOT build FILE CONTEXT NAME")
	}
	root, err := filepath.Abs(args[0])
	if err != nil {
		return err
	}
	store, err := storage.GetStore(storage.StoreOptions{
		GraphRoot: filepath.Join(root, "graph"), RunRoot: filepath.Join(root, "run"), GraphDriverName: "overlay",
	})
	if err != nil {
		return err
	}
	defer func() {
		_, stop := store.Shutdown(false)
		err = errors.Join(err, stop)
	}()
	sys := &types.SystemContext{}
	switch {
	case args[1] == "load" && len(args) == 3:
		id, err := buildah.Pull(ctx, args[2], buildah.PullOptions{Store: store, SystemContext: sys, PullPolicy: define.PullIfMissing, ReportWriter: io.Discard})
		if err != nil {
			return err
		}
		fmt.Println(id)
		return nil
	case args[1] == "build" && len(args) == 5:
		epoch := time.Unix(0, 0)
		limits, err := ownLimits()
		if err != nil {
			return err
		}
		id, _, err := imagebuildah.BuildDockerfiles(ctx, store, define.BuildOptions{
			ContextDirectory: args[3], Output: args[4], SystemContext: sys, PullPolicy: define.PullNever, OutputFormat: define.OCIv1ImageManifest,
			Isolation: define.IsolationChroot, CommonBuildOpts: &define.CommonBuildOptions{Ulimit: limits},
			Timestamp: &epoch, Layers: true, RemoveIntermediateCtrs: true, ForceRmIntermediateCtrs: true, Out: os.Stderr, Err: os.Stderr, ReportWriter: os.Stderr,
		}, args[2])
		if err != nil {
			return err
		}
		fmt.Println(id)
		return nil
	}
	return fmt.Errorf("%q is not known", args[1])
}

// ownLimits are the limits that buildah would raise, which root may lack the right to: it is to leave them as they are.
func ownLimits() ([]string, error) {
	var list []string
	for name, number := range map[string]int{"nofile": unix.RLIMIT_NOFILE, "nproc": unix.RLIMIT_NPROC} {
		var l unix.Rlimit
		if err := unix.Getrlimit(number, &l); err != nil {
			return nil, err
		}
		list = append(list, fmt.Sprintf("%s=%d:%d", name, l.Max, l.Max))
	}
	return list, nil
}
