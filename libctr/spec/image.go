// SPDX-License-Identifier: Apache-2.0

package spec

import "github.com/berth-containers/berth/libctr/record"

// Image is what of an image's configuration matters for running it.
// The zero value is an image that says nothing.
type Image struct {
	Entrypoint  []string
	Cmd         []string
	Env         []string
	User        string
	WorkingDir  string
	Volumes     []string // absolute paths; the order does not matter
	StopSignal  string
	Healthcheck *record.Healthcheck // nil where the image has none; zero fields are unset
}
