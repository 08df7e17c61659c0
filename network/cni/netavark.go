// SPDX-License-Identifier: Apache-2.0

package cni

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"go.podman.io/common/libnetwork/types"

	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/network/conflist"
)

// Netavark reads the networks that podman has made for netavark: a JSON file for each. The error has what could not be read.
func Netavark(dir string) ([]types.Network, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read podman's networks: %w", err)
	}
	var all []types.Network
	var problems []error
	for _, e := range entries {
		if filepath.Ext(e.Name()) != ".json" || !e.Type().IsRegular() {
			continue
		}
		n, err := readNetavark(filepath.Join(dir, e.Name()))
		if err != nil {
			problems = append(problems, err)
			continue
		}
		all = append(all, n)
	}
	return all, errors.Join(problems...)
}

func readNetavark(path string) (n types.Network, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return n, err
	}
	if info.Size() > conflist.MaxSize {
		return n, fmt.Errorf("%s: it is larger than %d bytes", path, conflist.MaxSize)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return n, err
	}
	if err := json.Unmarshal(data, &n); err != nil {
		return n, fmt.Errorf("%s: %w", path, err)
	}
	if err := conflist.CheckName(n.Name); err != nil {
		return n, fmt.Errorf("%s: %w", path, err)
	}
	if n.Name+".json" != filepath.Base(path) {
		return n, fmt.Errorf("%s: network name %q does not match file name", path, n.Name)
	}
	if n.IPAMOptions == nil {
		n.IPAMOptions = map[string]string{}
	}
	if n.Options == nil {
		n.Options = map[string]string{}
	}
	return n, nil
}

// Import defines a network of podman's as one of Berth's, with the same name, subnets and options; its bridge is another one.
func Import(dir string, n types.Network) error {
	unlock, err := lock(dir)
	if err != nil {
		return err
	}
	defer unlock()
	all, _ := List(dir)
	if slices.ContainsFunc(all, func(o types.Network) bool { return o.Name == n.Name }) {
		return fmt.Errorf("network name %s already used: %w", n.Name, types.ErrNetworkExists)
	}
	if err := name(&n, all); err != nil {
		return err
	}
	if !slices.Contains(drivers, n.Driver) {
		return fmt.Errorf("network %s: unsupported driver %s", n.Name, n.Driver)
	}
	if ipam := n.IPAMOptions[types.Driver]; ipam != types.HostLocalIPAMDriver && ipam != types.NoneIPAMDriver {
		return fmt.Errorf("network %s: unsupported ipam driver %q", n.Name, ipam)
	}
	for _, s := range n.Subnets {
		if overlaps(&s.Subnet.IPNet, networksOf(all)) {
			return hint.Add(fmt.Errorf("network %s: subnet %s is already used by another network", n.Name, s.Subnet.String()), "remove that one, or make this one with another subnet")
		}
	}
	if n.Driver == types.BridgeNetworkDriver {
		n.NetworkInterface = ""
		if err := bridge(&n, all); err != nil {
			return err
		}
	} else {
		n.DNSEnabled = false
	}
	n.ID = conflist.ID(n.Name)
	return store(dir, &n)
}
