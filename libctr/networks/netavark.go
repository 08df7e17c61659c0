// SPDX-License-Identifier: Apache-2.0

package networks

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.podman.io/common/libnetwork/types"

	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/network"
	"github.com/berth-containers/berth/network/cni"
)

// foreign are podman's own networks, those of netavark, of which there is none of the name among all.
func foreign(e *libctr.Engine, all []types.Network) ([]types.Network, error) {
	dir, err := e.NetavarkDir()
	if err != nil {
		return nil, err
	}
	list, err := cni.Netavark(dir)
	return slices.DeleteFunc(list, func(n types.Network) bool {
		return n.Name == network.DefaultNetwork || slices.ContainsFunc(all, func(o types.Network) bool { return o.Name == n.Name })
	}), err
}

func findForeign(e *libctr.Engine, nameOrID string) (found types.Network, ok bool) {
	list, _ := foreign(e, nil)
	for _, n := range list {
		if n.Name == nameOrID {
			return n, true
		}
		if nameOrID != "" && strings.HasPrefix(n.ID, nameOrID) {
			found, ok = n, true
		}
	}
	return found, ok
}

// Import takes over networks that podman has made for netavark, by their names; all that are not there yet where none is given. It calls imported for each.
func Import(e *libctr.Engine, names []string, imported func(name string)) error {
	dir, err := e.NetworksDir()
	if err != nil {
		return err
	}
	own, problems := cni.List(dir)
	podmans, err := foreign(e, own)
	var errs []error
	if len(names) == 0 {
		errs = append(errs, problems, err)
		for _, n := range podmans {
			names = append(names, n.Name)
		}
	}
	for _, name := range names {
		n, ok := findForeign(e, name)
		if !ok {
			errs = append(errs, fmt.Errorf("unable to find network of podman with name or ID %s: %w", name, ErrNotFound))
			continue
		}
		if err := cni.Import(dir, n); err != nil {
			errs = append(errs, err)
			continue
		}
		imported(n.Name)
	}
	return errors.Join(errs...)
}
