// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"errors"
	"fmt"
	"net"

	"github.com/containernetworking/plugins/plugins/ipam/host-local/backend/allocator"
	"github.com/containernetworking/plugins/plugins/ipam/host-local/backend/disk"

	"github.com/berth-containers/berth/network/attach"
)

// errOther is why a configuration is left to its plugins.
var errOther = errors.New("the configuration is for another plugin")

// address is one that a container has been given.
type address struct {
	net.IPNet
	gateway net.IP
}

// lease takes an address of each range for a container's interface, as the plugin host-local does.
func (n *Network) lease(container, iface string) (_ []address, err error) {
	store, err := disk.New(n.Name, n.ipam.DataDir)
	if err != nil {
		return nil, err
	}
	defer store.Close()
	asked := map[string]net.IP{}
	for _, ip := range n.ipam.IPArgs {
		asked[ip.String()] = ip
	}
	var all []address
	defer func() {
		if err != nil {
			err = errors.Join(err, n.release(store, container, iface))
		}
	}()
	for i := range n.ipam.Ranges {
		set := &n.ipam.Ranges[i]
		var want net.IP
		for key, ip := range asked {
			if set.Contains(ip) {
				want = ip
				delete(asked, key)
				break
			}
		}
		got, err := allocator.NewIPAllocator(set, store, i).Get(container, iface, want)
		if err != nil {
			return nil, err
		}
		all = append(all, address{got.Address, got.Gateway})
	}
	for _, ip := range asked {
		return nil, fmt.Errorf("no subnet of the network has the address %s", ip)
	}
	return all, nil
}

func (n *Network) release(store *disk.Store, container, iface string) error {
	var failed []error
	for i := range n.ipam.Ranges {
		failed = append(failed, allocator.NewIPAllocator(&n.ipam.Ranges[i], store, i).Release(container, iface))
	}
	return errors.Join(failed...)
}

// Release gives back the addresses that a container has been given. It is no error that there are none.
func (n *Network) Release(c *attach.CNI) error {
	store, err := disk.New(n.Name, n.ipam.DataDir)
	if err != nil {
		return err
	}
	defer store.Close()
	return n.release(store, c.Container, c.Interface)
}
