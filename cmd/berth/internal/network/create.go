// SPDX-License-Identifier: Apache-2.0

package network

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/libctr/networks"
	"github.com/berth-containers/berth/libctr/spec"
	"github.com/spf13/cobra"
	"go.podman.io/common/libnetwork/types"
)

type createOptions struct {
	network types.Network
	ignore  bool
}

// createFlags are words that create reads before anything is done.
type createFlags struct {
	labels, options, subnets, gateways, ranges, routes, dns []string
	ipam                                                    string
	noDNS                                                   bool
}

// NewCreate returns the command `network create`.
func NewCreate(g *cli.Global) *cobra.Command { return newCreate(g, create) }

func newCreate(g *cli.Global, run cli.Run[*createOptions]) *cobra.Command {
	var o createOptions
	var w createFlags
	cmd := &cobra.Command{
		Use:   "create [options] [NAME]",
		Short: "Create a network that containers share",
		Long: "Creates a network for containers made with --network NAME: a bridge, on which they reach each other by their names. Other networks do not\n" +
			"reach them. It is a CNI configuration in /etc/cni/net.d, or in $XDG_CONFIG_HOME/cni/net.d for an ordinary user.",
		Example: "berth network create web\n  berth network create --subnet 10.9.0.0/24 --gateway 10.9.0.1 --label tier=front front",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				o.network.Name = args[0]
			}
			if err := w.settle(&o.network); err != nil {
				return err
			}
			return run(cmd.Context(), g.Call(cmd, args), &o)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&o.network.Driver, "driver", "d", "bridge", "driver of the network: bridge, macvlan or ipvlan")
	f.StringArrayVarP(&w.options, "opt", "o", nil, "set an option of the driver: mtu=BYTES, metric=N, no_default_route=true; of a bridge vlan=ID, isolate=true|false|strict; of others parent=INTERFACE, mode=MODE (repeatable)")
	f.StringArrayVar(&w.subnets, "subnet", nil, "subnet in CIDR form (repeatable)")
	f.StringSliceVar(&w.gateways, "gateway", nil, "gateway of a subnet; of the first, the second and so on")
	f.StringArrayVar(&w.ranges, "ip-range", nil, "range that containers of a subnet get their addresses from: CIDR, or FIRST-LAST (repeatable)")
	f.StringArrayVar(&w.routes, "route", nil, "static route for containers: DESTINATION,GATEWAY[,METRIC] (repeatable)")
	f.BoolVar(&o.network.IPv6Enabled, "ipv6", false, "have an IPv6 subnet, too")
	f.BoolVar(&o.network.Internal, "internal", false, "have no way to other networks")
	f.StringVar(&o.network.NetworkInterface, "interface-name", "", "name of the bridge on the host, or of the host's interface that macvlan and ipvlan use")
	f.StringVar(&w.ipam, "ipam-driver", "", "what gives containers their addresses: host-local (default) or none")
	f.BoolVar(&w.noDNS, "disable-dns", false, "do not answer for the names of containers")
	f.StringSliceVar(&w.dns, "dns", nil, "name server for names that are not containers' (repeatable)")
	f.StringArrayVar(&w.labels, "label", nil, "set a label: NAME=VALUE (repeatable)")
	f.BoolVar(&o.ignore, "ignore", false, "do not fail if the network exists")
	return cmd
}

// settle reads the words.
func (w *createFlags) settle(n *types.Network) (err error) {
	if n.Labels, err = spec.ParseLabels("label", w.labels); err != nil {
		return err
	}
	n.Options = map[string]string{}
	for _, o := range w.options {
		key, value, _ := strings.Cut(o, "=")
		n.Options[key] = value
	}
	n.IPAMOptions = map[string]string{}
	if w.ipam != "" {
		n.IPAMOptions[types.Driver] = w.ipam
	}
	n.DNSEnabled, n.NetworkDNSServers = !w.noDNS, w.dns
	if w.noDNS && len(w.dns) > 0 {
		return errors.New("--dns and --disable-dns exclude each other")
	}
	for _, s := range w.dns {
		if net.ParseIP(s) == nil {
			return fmt.Errorf("--dns %q: not an IP address", s)
		}
	}
	switch {
	case len(w.gateways) > len(w.subnets):
		return errors.New("cannot set gateway without subnet")
	case len(w.ranges) > len(w.subnets):
		return errors.New("cannot set ip range without subnet")
	}
	for i, text := range w.subnets {
		var s types.Subnet
		if s.Subnet, err = types.ParseCIDR(text); err != nil {
			return fmt.Errorf("--subnet: %w", err)
		}
		if i < len(w.gateways) {
			if s.Gateway = net.ParseIP(w.gateways[i]); s.Gateway == nil {
				return fmt.Errorf("--gateway %q: not an IP address", w.gateways[i])
			}
		}
		if i < len(w.ranges) {
			if s.LeaseRange, err = parseRange(w.ranges[i]); err != nil {
				return fmt.Errorf("--ip-range: %w", err)
			}
		}
		n.Subnets = append(n.Subnets, s)
	}
	for _, r := range w.routes {
		route, err := parseRoute(r)
		if err != nil {
			return fmt.Errorf("--route %q: %w", r, err)
		}
		n.Routes = append(n.Routes, route)
	}
	return nil
}

// parseRange reads FIRST-LAST, or a subnet of which all addresses but the first and the last are meant.
func parseRange(text string) (*types.LeaseRange, error) {
	if first, last, ok := strings.Cut(text, "-"); ok {
		r := &types.LeaseRange{StartIP: net.ParseIP(first), EndIP: net.ParseIP(last)}
		if r.StartIP == nil || r.EndIP == nil {
			return nil, fmt.Errorf("%q is not a range of addresses", text)
		}
		return r, nil
	}
	_, n, err := net.ParseCIDR(text)
	if err != nil {
		return nil, err
	}
	first, last := make(net.IP, len(n.IP)), make(net.IP, len(n.IP))
	for i := range n.IP {
		first[i], last[i] = n.IP[i], n.IP[i]|^n.Mask[i]
	}
	ones, bits := n.Mask.Size()
	if bits-ones > 1 {
		first[len(first)-1]++
		if len(last) == net.IPv4len {
			last[len(last)-1]-- // the broadcast address
		}
	}
	return &types.LeaseRange{StartIP: first, EndIP: last}, nil
}

// parseRoute reads DESTINATION,GATEWAY[,METRIC].
func parseRoute(text string) (types.Route, error) {
	f := strings.Split(text, ",")
	if len(f) < 2 || len(f) > 3 {
		return types.Route{}, errors.New("want DESTINATION,GATEWAY[,METRIC]")
	}
	dst, err := types.ParseCIDR(f[0])
	if err != nil {
		return types.Route{}, err
	}
	r := types.Route{Destination: dst, Gateway: net.ParseIP(f[1])}
	if r.Gateway == nil {
		return r, fmt.Errorf("gateway %q is not an IP address", f[1])
	}
	if len(f) == 3 {
		metric, err := strconv.ParseUint(f[2], 10, 32)
		if err != nil {
			return r, fmt.Errorf("metric %q is not a number", f[2])
		}
		m := uint32(metric)
		r.Metric = &m
	}
	return r, nil
}

func create(ctx context.Context, call cli.Call, o *createOptions) error {
	e, err := call.Open(ctx)
	if err != nil {
		return err
	}
	if err := networks.Create(e, &o.network, o.ignore); err != nil {
		return err
	}
	fmt.Fprintln(call.Out, o.network.Name)
	return nil
}
