// SPDX-License-Identifier: Apache-2.0

// Berth-net connects containers to networks that they share. Monitors and builds run it:
//
//	berth-net add    connect the namespace of the attach.Request on standard input; the answer is an attach.Joined
//	berth-net del    undo that
//	berth-net reload undo that and do it again, with the same addresses: see reload
//	berth-net update have names answered as the request says
//	berth-net check  try what a container of a network would find
//	berth-net revive replace the keeper if it was killed
//	berth-net keep   be the process behind a user's networks, see package keeper
//
// It ends with 1 and a text on standard error if it fails.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime/debug"

	"github.com/berth-containers/berth/network/attach"
	"github.com/berth-containers/berth/network/keeper"
)

func main() {
	if len(os.Args) == 3 && os.Args[1] == "keep" {
		os.Exit(keeper.Main(os.Args[2], os.Stdout))
	}
	err := errors.New("usage: berth-net add|del (it is berth that runs it)")
	if len(os.Args) == 2 {
		debug.SetGCPercent(-1) // it ends before it has used much
		debug.SetMemoryLimit(256 << 20)
		os.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin:/sbin") // plugins call iptables
		switch os.Args[1] {
		case "add":
			err = add()
		case "del":
			err = del()
		case "reload":
			err = reload()
		case "update":
			err = update()
		case "check":
			err = check()
		case "revive":
			err = revive()
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// request reads what berth-net is to do.
func request() (*attach.Request, error) {
	req := new(attach.Request)
	if err := json.NewDecoder(os.Stdin).Decode(req); err != nil {
		return nil, fmt.Errorf("read the request: %w", err)
	}
	if req.CNI == nil {
		return nil, errors.New("the request has no network")
	}
	return req, alone(req.CNI)
}
