// SPDX-License-Identifier: Apache-2.0

// Package cdi puts devices of the Container Device Interface, such as nvidia.com/gpu=all, into a container's OCI spec. The files that describe
// them are the host's. libctr does not link it: libctr.Options.CDI has Inject where a program does.
package cdi

import (
	"fmt"
	"strings"

	specs "github.com/opencontainers/runtime-spec/specs-go"
	"tags.cncf.io/container-device-interface/pkg/cdi"

	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/internal/hint"
)

// Inject adds devices, which the files in dirs describe, to s.
func Inject(dirs, names []string, s *specs.Spec) (err error) {
	defer func() {
		if p := recover(); p != nil { // the library's answer to some wrong files, as to a class of one letter
			err = field.Errorf("%s: a file that describes CDI devices is wrong: %v", field.Name("device"), p)
		}
	}()
	options := []cdi.Option{cdi.WithAutoRefresh(false)}
	if len(dirs) > 0 {
		options = append(options, cdi.WithSpecDirs(dirs...))
	}
	cache, err := cdi.NewCache(options...)
	if err != nil {
		return err
	}
	_ = cache.Refresh() // what is wrong with a file matters if it is the one that a device is missing from
	missing, err := cache.InjectDevices(s, names...)
	if err == nil {
		return nil
	}
	if len(missing) == 0 {
		return field.Errorf("%s: %w", field.Name("device"), err)
	}
	err = field.Errorf("%s: there is no CDI device %s", field.Name("device"), strings.Join(missing, ", "))
	for path, errs := range cache.GetErrors() {
		for _, e := range errs {
			err = fmt.Errorf("%w; %s: %w", err, path, e)
		}
	}
	return hint.Add(err, "the devices are described by files in %s; a vendor's tool makes them, as: nvidia-ctk cdi generate", strings.Join(cache.GetSpecDirectories(), " or "))
}
