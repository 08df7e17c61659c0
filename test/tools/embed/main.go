// SPDX-License-Identifier: Apache-2.0

// Embed is the smallest program that runs a container with Berth's library: embed BERTH ARCHIVE COMMAND... loads the image in
// ARCHIVE, runs COMMAND in a container of it, and prints what happened to the container. BERTH is the path of the program berth.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/libctr/image/library"
)

func main() {
	helper, err := libctr.Enter()
	if !helper && err == nil {
		err = embed(context.Background(), os.Args[1], os.Args[2], os.Args[3:])
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func embed(ctx context.Context, berth, archive string, command []string) error {
	e, err := libctr.Open(ctx, libctr.Options{Program: berth})
	if err != nil {
		return err
	}
	store, err := e.Store()
	if err != nil {
		return err
	}
	images, err := library.NewRuntime(store, e.SystemContext())
	if err != nil {
		return err
	}
	names, err := images.Load(ctx, archive, io.Discard)
	if err = errors.Join(err, images.Close()); err != nil {
		return err
	}

	c, session, err := e.Run(ctx, libctr.CreateOptions{Image: names[0], Args: command},
		libctr.StartOptions{Attach: &libctr.Streams{Stdout: os.Stdout, Stderr: os.Stderr}})
	if err != nil {
		return err
	}
	code, err := session.Wait(ctx)
	if err != nil {
		return err
	}
	fmt.Println("exit code", code)
	if err := e.Remove(ctx, c, libctr.RemoveOptions{}); err != nil {
		return err
	}

	events, err := e.Events(libctr.EventOptions{})
	if err != nil {
		return err
	}
	defer events.Close()
	for {
		ev, err := events.Next(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if ev.ID == c.ID {
			fmt.Println("event", ev.Status)
		}
	}
}
