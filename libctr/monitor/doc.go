// SPDX-License-Identifier: Apache-2.0

// Package monitor is the process that a running container has: one a container,
// no daemon above it. It is the only writer of the container's state.json while
// it lives, and holds the container's lock.
//
// Its life, in order, with the file that tells it:
//
//  1. The CLI starts it with the lock and a first connection (Run in monitor.go), for a container that is made and
//     started in one go before that has its records: they are there when the first request comes.
//  2. It mounts the root file system in its own mount namespace (mount.go), makes the
//     network namespace (netns.go) and attaches it (endpoints.go): at once,
//     while the CLI still speaks.
//  3. On the request start it opens its socket, makes FIFOs or awaits a terminal (stdio.go, console.go), calls the
//     OCI runtime (oci.go, start.go), records the process, and only then answers. What others ask for meanwhile
//     waits for that (requests.go); a stop may end the runtime.
//  4. It serves: clients (server.go, requests.go) attach (output.go, outbox.go), execute
//     (exec.go), signal and stop (stop.go), pause (pause.go); health checks run (health.go).
//  5. The container's init ends (reap.go, process.go). What it was is recorded before it is told;
//     output is drained; then the restart policy begins at 3 again after a pause
//     (exit.go, backoff.go), or the monitor cleans up, tells whoever waits, and ends.
//
// If a monitor is killed, the container goes on: its output waits in the FIFOs, which
// no process needs to hold open, and a new monitor adopts it (adopt.go). The store's other monitors, which are all
// connected with each other over some way (guard.go), start that (replace.go). What cannot
// live on is a terminal, which its monitor's death hangs up, an input that was to be
// closed with its client, and the answer to clients that were connected. Exec'd processes go on; their
// exit codes are lost.
//
// A step of the start may be the last one, too. The runtime writes its pid file
// while it holds RunDir/start.lock, a file that the kernel unlocks when monitor and runtime have
// both ended: see Reconcile, which whoever takes a dead monitor's container over calls first.
//
// The package is built for size: it forks without os/exec, speaks to its sockets
// without net, and keeps no buffer for who is idle.
package monitor
