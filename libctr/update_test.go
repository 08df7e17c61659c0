// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"errors"
	"slices"
	"testing"

	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr/ctl"
	"github.com/berth-containers/berth/libctr/record"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// An update that was killed has left variables in the OCI spec that the record has not.
func TestSettingsReplaceWhatAKilledUpdateLeft(t *testing.T) {
	cfg := &record.Config{Env: []string{"A=1"}, SecretEnv: []string{"SECRET"}}
	s := &specs.Spec{Process: &specs.Process{Env: []string{"A=2", "NEW=2", "SECRET=x"}}}
	settingsOf(cfg, s).writeTo(cfg, s)
	if want := []string{"A=1", "SECRET=x"}; !slices.Equal(s.Process.Env, want) {
		t.Errorf("the process gets %q, want %q", s.Process.Env, want)
	}
	n := settingsOf(cfg, s)
	n.Env = []string{"A=3", "SECRET=mine"}
	n.writeTo(cfg, s)
	if want := []string{"A=3", "SECRET=x"}; !slices.Equal(s.Process.Env, want) {
		t.Errorf("the process gets %q, want %q", s.Process.Env, want)
	}
}

func TestOlderMonitorSaysSo(t *testing.T) {
	err := typed(&ctl.RequestError{Text: `request "limit": there is no such request`, Code: 125})
	if hint.Of(err).String() == "" || errors.Is(err, ErrNotRunning) {
		t.Errorf("error %v has no hint", err)
	}
}
