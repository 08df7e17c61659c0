// SPDX-License-Identifier: Apache-2.0

package networks

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"

	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/network"
	"github.com/berth-containers/berth/network/attach"
)

// Finding is one thing that Check has tried.
type Finding struct {
	Network string
	attach.Finding
}

// Check tries what a container of a network would find: it connects a namespace without a process, and disconnects it. The default network is checked where
// no name is given.
func Check(ctx context.Context, e *libctr.Engine, nameOrID string) ([]Finding, error) {
	dir, err := e.NetworksDir()
	if err != nil {
		return nil, err
	}
	l, err := network.FindShared(dir, nameOrID)
	if err != nil {
		return nil, err
	}
	all := []Finding{{l.Name, attach.Finding{Check: "name", OK: true, Text: "it is defined in " + l.Path}}}
	if l.Path == "" {
		all[0].Text = "it is the default network"
	}
	id := make([]byte, 32)
	if _, err := rand.Read(id); err != nil {
		return nil, err
	}
	c, err := plan(ctx, e, l.Name, hex.EncodeToString(id), []attach.PortMapping{{HostIP: "127.0.0.1", ContainerPort: 80, Protocol: "tcp"}})
	if err != nil {
		return append(all, Finding{l.Name, attach.Finding{Check: "plan", Text: err.Error(), Do: "correct that; containers of this network cannot be started"}}), nil
	}
	for _, p := range l.Plugins {
		if !installed(c.PluginDirs, p.Type) {
			all = append(all, Finding{l.Name, attach.Finding{Check: "plugin", Text: fmt.Sprintf("the plugin %s is in none of the directories of plugins", p.Type),
				Do: "install it, for example into /opt/cni/bin"}})
		}
	}
	var found []attach.Finding
	if err := attach.Ask("check", attach.Request{Network: l.Name, CNI: c}, &found); err != nil {
		return nil, fmt.Errorf("check network %s: %w", l.Name, err)
	}
	for _, f := range found {
		all = append(all, Finding{l.Name, f})
	}
	return all, nil
}

func installed(dirs []string, plugin string) bool {
	if plugin == "dnsname" { // names are Berth's own work
		return true
	}
	for _, dir := range dirs {
		if _, err := os.Stat(filepath.Join(dir, plugin)); err == nil {
			return true
		}
	}
	return false
}
