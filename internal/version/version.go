// SPDX-License-Identifier: Apache-2.0

// Package version holds what the build was made from; the Makefile sets both.
package version

var (
	Version = "0.1.0-dev" // of VERSION
	Commit  = ""          // git commit; empty outside a checkout
)

// Podman is the version of podman whose commands, flags and output Berth follows.
const Podman = "5.8.2"
