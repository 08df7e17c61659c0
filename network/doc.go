// SPDX-License-Identifier: Apache-2.0

// Package network decides how a container is connected: it reads the user's words
// (--network, --publish, --dns, --add-host), looks at the host, and answers with
// a plan, which is data: what the container's network namespace is to be attached to, the published ports, and the text of
// /etc/hosts and /etc/resolv.conf. It starts nothing and keeps nothing; package attach runs the helper programs, for the container's
// monitor, which makes the network namespace, and for builds.
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
// # Networks that containers share
//
// Their definitions are CNI configurations, which package conflist finds; a plan makes an attach.Attachment of each (shared.go,
// docs/decisions/0069). This package stays on the standard library and golang.org/x/sys, because `berth run` pays
// for its imports at each start.
package network
