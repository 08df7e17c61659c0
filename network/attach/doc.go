// SPDX-License-Identifier: Apache-2.0

// Package attach connects a network namespace to networks, and disconnects it. It is the one place that starts network helpers,
// for containers (their monitors call it) and for RUN of builds.
//
// Package network decides, and this package does: what passes between them is data, an Attachment for each network. It says by
// what means the namespace is connected; today that is a Helper, a program that serves one namespace (pasta, slirp4netns).
// A network of another kind adds its means to Attachment and its branch to Runner.Attach. Networks that several
// containers share are defined, listed and removed elsewhere (docs/decisions/0041).
//
// The package is linked into the monitor: it imports the standard library's leanest parts only.
package attach
