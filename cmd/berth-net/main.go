// SPDX-License-Identifier: Apache-2.0

// Berth-net connects containers to networks that they share. Monitors and builds run it:
//
//	berth-net add    connect the namespace of the attach.Request on standard input; the answer is an attach.Joined
//	berth-net del    undo that
//	berth-net keep   be the process behind a user's networks, see package keeper
//
// It ends with 1 and a text on standard error if it fails.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/berth-containers/berth/network/attach"
	"github.com/berth-containers/berth/network/keeper"
	"github.com/berth-containers/berth/network/plugins"
)

// pluginTimeout bounds how long the plugins of one network may take together.
const pluginTimeout = 40 * time.Second

func main() {
	if len(os.Args) == 3 && os.Args[1] == "keep" {
		os.Exit(keeper.Main(os.Args[2], os.Stdout))
	}
	err := errors.New("usage: berth-net add|del (it is berth that runs it)")
	if len(os.Args) == 2 {
		os.Setenv("PATH", os.Getenv("PATH")+":/usr/sbin:/sbin") // plugins call iptables
		switch os.Args[1] {
		case "add":
			err = add()
		case "del":
			err = del()
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func request() (*attach.Request, error) {
	req := new(attach.Request)
	if err := json.NewDecoder(os.Stdin).Decode(req); err != nil {
		return nil, fmt.Errorf("read the request: %w", err)
	}
	if req.CNI == nil {
		return nil, errors.New("the request has no network")
	}
	return req, nil
}

func add() error {
	req, err := request()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), pluginTimeout)
	defer cancel()
	state := keeper.State{Dir: req.CNI.StateDir}
	m := &keeper.Member{Network: req.Network, NetNS: req.NetNS, CNI: req.CNI}
	pid, err := enlist(state, m)
	if err != nil {
		return err
	}
	err = keeper.Inside(pid, req.CNI.Outside != nil, func() (err error) {
		m.Joined, err = plugins.Add(ctx, req)
		return err
	})
	if err == nil {
		m.Joined.Keeper = pid
		if err = tell(state, func() error { return state.Put(m) }); err != nil {
			_ = keeper.Inside(pid, req.CNI.Outside != nil, func() error { return plugins.Del(ctx, req) })
		}
	}
	if err != nil {
		return errors.Join(err, tell(state, func() error { return state.Drop(m) }))
	}
	return json.NewEncoder(os.Stdout).Encode(m.Joined)
}

// enlist writes the member down, so that the keeper stays, and starts one where the network needs it.
func enlist(state keeper.State, m *keeper.Member) (pid int, err error) {
	unlock, err := state.Lock()
	if err != nil {
		return 0, err
	}
	defer unlock()
	if err := state.Put(m); err != nil {
		return 0, err
	}
	if m.CNI.Outside == nil && !m.CNI.DNS {
		return 0, nil
	}
	if pid, err = state.Ensure("/proc/self/exe", m.CNI); err != nil {
		return 0, errors.Join(err, state.Drop(m))
	}
	return pid, nil
}

// tell changes what the keeper has to do, and has it do it.
func tell(state keeper.State, change func() error) error {
	unlock, err := state.Lock()
	if err != nil {
		return err
	}
	defer unlock()
	if err := change(); err != nil {
		return err
	}
	return state.Reload()
}

func del() error {
	req, err := request()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), pluginTimeout)
	defer cancel()
	state := keeper.State{Dir: req.CNI.StateDir}
	m := &keeper.Member{Network: req.Network, CNI: req.CNI}
	pid, rootless := state.Pid(), req.CNI.Outside != nil
	if !rootless || pid != 0 {
		err = keeper.Inside(pid, rootless, func() error { return plugins.Del(ctx, req) })
	} else {
		err = plugins.Forget(req) // the bridges went with their keeper
	}
	return errors.Join(err, tell(state, func() error {
		if err := state.Drop(m); err != nil {
			return err
		}
		if slices.ContainsFunc(state.Members(), func(o *keeper.Member) bool { return o.Network == m.Network }) || rootless && pid == 0 {
			return nil
		}
		return keeper.Inside(pid, rootless, func() error { return plugins.Sweep(req) })
	}))
}
