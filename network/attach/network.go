// SPDX-License-Identifier: Apache-2.0

package attach

import "github.com/berth-containers/berth/internal/hint"

import (
	"encoding/json"
	"slices"
	"strings"
)

// Network is how a container is connected, as its record keeps it.
type Network struct {
	// Mode is none, host, container:ID, pasta, slirp4netns, private, ns:PATH.
	Mode string `json:"mode"`

	// NetNS is "new" when the monitor makes the network namespace (and mounts it where the OCI spec
	// says), "runtime" when the runtime makes it (a container with a user namespace of its own), and empty when
	// there is nothing to do.
	NetNS string `json:"netns,omitempty"`

	// Path is where the namespace is mounted, if not in the container's RunDir.
	Path string `json:"path,omitempty"`

	// Attachments are what the namespace is connected to, in order; none where Mode needs none.
	Attachments []Attachment `json:"attachments,omitempty"`

	// HostNames are the names that /etc/hosts is to have with the addresses that shared networks give the container.
	HostNames []string `json:"hostNames,omitempty"`

	Ports []PortMapping `json:"ports,omitempty"`
}

// Names are the networks that are shared with others, separated by commas; where there are none, Mode.
func (n *Network) Names() string {
	var names []string
	for _, a := range n.Attachments {
		if a.CNI != nil {
			names = append(names, a.Network)
		}
	}
	if len(names) == 0 {
		return n.Mode
	}
	return strings.Join(names, ",")
}

// Disconnect removes a network that the container shares. Ports that were published through it are published through the next one that is left, which it
// returns; nil for none.
func (n *Network) Disconnect(name string) (heir *Attachment) {
	i := slices.IndexFunc(n.Attachments, func(a Attachment) bool { return a.Network == name && a.CNI != nil })
	if i < 0 {
		return nil
	}
	ports := n.Attachments[i].CNI.Ports
	n.Attachments = slices.Delete(slices.Clone(n.Attachments), i, i+1)
	if len(ports) == 0 || len(n.Attachments) == 0 {
		return nil
	}
	heir = &n.Attachments[0]
	c := *heir.CNI
	c.Ports = ports
	heir.CNI = &c
	return heir
}

// Attachment connects a namespace to one network.
type Attachment struct {
	// Network is the network's name. One that a helper makes has the helper's: pasta, slirp4netns.
	Network string `json:"network"`

	// Helper is the program that connects the namespace.
	Helper *Helper `json:"helper,omitempty"`

	// CNI connects the namespace to a network that containers share.
	CNI *CNI `json:"cni,omitempty"`
}

// Helper is a program that serves one network namespace, pasta or slirp4netns.
// In Args the words {netns}, {pid}, {pidfile}, {apisock}, {ready} and {exit} are
// replaced: the namespace's path, the container's pid, a pid file (which nobody
// needs, and older records ask for), a socket path, and the numbers of two pipe ends.
type Helper struct {
	Path string   `json:"path"`
	Args []string `json:"args"`

	// Daemonizes is set when the program forks and its first process exits with 0
	// once the network is up (pasta); otherwise it writes "1" to {ready} (slirp4netns).
	Daemonizes bool `json:"daemonizes,omitempty"`

	// HostFwd are JSON requests for {apisock}, one a published port.
	HostFwd []json.RawMessage `json:"hostFwd,omitempty"`

	// UDPRelay is what is relayed besides, because the helper cannot: the arguments of
	// `berth-monitor --udp-relay NETNS`, see package network/udprelay. Empty is nothing.
	UDPRelay []string `json:"udpRelay,omitempty"`

	// Hint is what the user can do if the program fails; empty where nothing is known.
	Hint hint.Hint `json:"hint,omitzero"`
}

// PortMapping is one published port. Ranges are written out, one mapping a port.
type PortMapping struct {
	HostIP        string `json:"host_ip"` // empty is every address
	ContainerPort uint16 `json:"container_port"`
	HostPort      uint16 `json:"host_port"`
	Protocol      string `json:"protocol"` // tcp, udp
}
