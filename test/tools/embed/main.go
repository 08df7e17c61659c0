// SPDX-License-Identifier: Apache-2.0

// Embed is a small program on Berth's library, with nothing of cmd/: embed BERTH ARCHIVE DIR COMMAND... loads the image in ARCHIVE, builds
// DIR, whose Containerfile has parts, composes and verifies that, runs COMMAND in a container of the result, removes it, and prints what happened to
// it. BERTH is the path of the program berth, which the library runs for what needs a process of its own.
package main

import (
	"context"
	"fmt"
	"log"
	"os"

	"github.com/berth-containers/berth/build"
	"github.com/berth-containers/berth/build/partial/project"
	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/libctr/image/library"
)

func main() {
	check(libctr.Enter())
	ctx, berth, archive, dir, command := context.Background(), os.Args[1], os.Args[2], os.Args[3], os.Args[4:]
	e, err := libctr.Open(ctx, libctr.Options{Program: berth, Pull: library.Pull})
	check(err)
	check(library.Change(e, func(images *library.Runtime) error {
		_, err := images.Load(ctx, archive, nil)
		return err
	}))

	built, err := build.Run(ctx, e, build.Request{Context: dir, Tags: []string{"localhost/embed"}, Progress: build.Plain(os.Stdout, os.Stderr)})
	check(err)
	source := project.Options{Engine: e, File: dir + "/Containerfile"}
	composed, err := project.Compose(ctx, source)
	check(err)
	fmt.Println("parts", composed.PartNames())
	findings, err := project.Verify(ctx, source)
	check(err)
	check(findings.Err())

	c, session, err := e.Run(ctx, libctr.CreateOptions{Image: built.Image, Args: command}, libctr.StartOptions{Attach: &libctr.Streams{Stdout: os.Stdout, Stderr: os.Stderr}})
	check(err)
	code, err := session.Wait(ctx)
	check(err)
	fmt.Println("exit code", code)
	check(e.Remove(ctx, c, libctr.RemoveOptions{}))

	check(e.EachEvent(ctx, libctr.EventOptions{Filters: []string{"container=" + c.ID}}, func(ev libctr.Event) error {
		fmt.Println("event", ev.Status)
		return nil
	}))
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
