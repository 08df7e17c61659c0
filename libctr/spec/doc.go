// SPDX-License-Identifier: Apache-2.0

// Package spec turns what `run` was asked for into an OCI runtime specification.
//
// It is the pure part of making a container. Flag values are parsed by functions
// named after the flag's subject (ParseVolume, ParseUserNS, Health, …), each of
// which names the field and the value in its errors. Their results, the image's
// configuration and the facts about the host meet in Options; Generate turns
// Options into a specs.Spec.
//
// Only these touch the system: ReadHost, ListDevices and StatDevice (the host),
// Rootfs (files of the image), ReadEnvFile, ReadLabelFile and ReadSeccomp (the
// caller's files).
//
// Words: an image volume is one that the image declares; an anonymous volume is
// a volume without a name, which the caller names; a nested user namespace is one
// that the runtime makes below the namespace that Berth itself runs in.
package spec
