// SPDX-License-Identifier: Apache-2.0

// Package libctr is the container engine as a library: containers and their
// life, the OCI spec they are started from, the storage they live in, and the
// monitors that look after them.
//
// Words used throughout:
//
//	record   what is kept of a container on disk (package record)
//	monitor  the process beside each container that was started; the only writer of its
//	         record while it lives (package monitor; spoken to through package ctl)
//	lock     RunDir/lock, held by the monitor while it lives, and otherwise by the
//	         command that changes the record
//	pending  a file $RUNTIME/pending/ID for each container whose making or removal is under
//	         way, or that is to be removed at its end; what it names without a
//	         holder of the lock, the next command finishes (recover.go)
//
// The package prints nothing, exits nowhere, and knows no command line. Commands
// that change layers have to be in the user namespace (package rootless).
package libctr
