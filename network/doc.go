// SPDX-License-Identifier: Apache-2.0

// Package network decides how a container is connected: it reads the user's words
// (--network, --publish, --dns, --add-host), looks at the host, and answers with
// a plan, which is data: the arguments of a helper program, the published ports, and the text of
// /etc/hosts and /etc/resolv.conf. It starts nothing and keeps nothing; the container's
// monitor makes the network namespace and runs the helper, from record.Network.
//
// The words:
//
//	mode     what --network asks for: none, host, container:X, ns:PATH, private, pasta, slirp4netns
//	helper   the program that connects one network namespace to the host without privileges:
//	         pasta(1), or slirp4netns(1). It ends with the namespace
//	mapping  one published port: host address and port, container port, protocol
//
// Both helpers carry a connection's packets, not a copy of its bytes, so the server in the
// container sees the address of the client that connected to the published port.
// What each of them can and cannot do is in docs/networks.md.
//
// # Bridge networks
//
// Networks that several containers share (bridge, macvlan, DNS by name) are not here yet.
// Their place is a subpackage that implements types.ContainerNetwork of go.podman.io/common/libnetwork/types,
// the interface that buildah takes as well: NetworkCreate, NetworkInspect, … on
// definitions in CNI conflists, and Setup and Teardown, which the engine calls
// with the path of the network namespace. Such a container's record keeps the
// ports and the names of its networks where it now keeps a helper; the helper, one for the user's
// rootless network namespace instead of one a container, is planned with the functions
// of this package. This package itself never imports that interface, because `berth run` would pay
// for its imports at each start: it stays on the standard library and golang.org/x/sys.
package network
