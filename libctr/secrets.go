// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/berth-containers/berth/doctor"
	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/internal/filter"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/libctr/record"
	"github.com/berth-containers/berth/libctr/secret"
	"github.com/berth-containers/berth/libctr/spec"
	specs "github.com/opencontainers/runtime-spec/specs-go"
	"github.com/opencontainers/selinux/go-selinux/label"
)

// Secrets is the store of secrets, which podman on the same GraphRoot shares.
func (e *Engine) Secrets() *secret.Store {
	return secret.Open(filepath.Join(e.storeOpts.GraphRoot, "secrets"))
}

// CreateSecret keeps a secret as secret.Store.Create does. What the options leave open containers.conf decides.
func (e *Engine) CreateSecret(ctx context.Context, name string, data []byte, o secret.CreateOptions) (secret.Secret, error) {
	conf, err := e.conf()
	if err != nil {
		return secret.Secret{}, err
	}
	if o.Driver == "" {
		o.Driver = conf.Secrets.Driver
	}
	if o.Driver == conf.Secrets.Driver {
		all := maps.Clone(conf.Secrets.Opts)
		if all == nil {
			all = map[string]string{}
		}
		maps.Copy(all, o.DriverOptions)
		o.DriverOptions = all
	}
	s, err := e.Secrets().Create(ctx, name, data, o)
	if isErrno(err, errNoSpace...) {
		err = fmt.Errorf("create secret %q: %w", name, err)
	}
	if err != nil {
		return s, storeHint(err, e.storeOpts.GraphRoot)
	}
	e.note(Event{Type: "secret", Status: "create", Name: s.Name, ID: s.ID, Attributes: s.Labels})
	return s, nil
}

// RemoveSecret removes a secret, and returns it. Containers that were given it keep their copy.
func (e *Engine) RemoveSecret(ctx context.Context, nameOrID string) (secret.Secret, error) {
	s, err := e.Secrets().Remove(ctx, nameOrID)
	if err != nil {
		return s, err
	}
	e.note(Event{Type: "secret", Status: "remove", Name: s.Name, ID: s.ID, Attributes: s.Labels})
	return s, nil
}

// SelectSecrets returns those of the secrets that pass the filters, each KEY=VALUE: name and id, regular expressions.
// A filter that cannot be read is a FieldError.
func SelectSecrets(list []secret.Secret, filters []string) ([]secret.Secret, error) {
	match, err := filter.Parse(filters, secretFilter)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(list), func(s secret.Secret) bool { return !match(&s) }), nil
}

// SecretFilterKeys are the keys of SelectSecrets.
func SecretFilterKeys() []string { return []string{"id", "name"} }

func secretFilter(key string) filter.Key[*secret.Secret] {
	of := map[string]func(*secret.Secret) string{
		"name": func(s *secret.Secret) string { return s.Name },
		"id":   func(s *secret.Secret) string { return s.ID },
	}[key]
	if of == nil {
		return nil
	}
	return func(value string) (func(*secret.Secret) bool, error) {
		re, err := regexp.Compile(value)
		return func(s *secret.Secret) bool { return re.MatchString(of(s)) }, err
	}
}

// parseSecrets reads the secrets that a container is to have.
func parseSecrets(values []string) (list []spec.Secret, err error) {
	at := map[string]bool{}
	for _, v := range values {
		s, err := spec.ParseSecret(v)
		if err != nil {
			return nil, err
		}
		if s.Target != "" && at[s.Target] {
			return nil, field.Errorf("%s %q: %s: duplicate mount destination", field.Name("secret"), v, s.Target)
		}
		at[s.Target] = true
		list = append(list, s)
	}
	return list, nil
}

// addSecrets copies the container's secrets: what becomes of them later does not change the container. Those that are files are kept in its
// directory, and the monitor brings them to a tmpfs for each start. Those that are variables stand in the OCI bundle alone, which nothing
// but the runtime and exec reads.
func (e *Engine) addSecrets(ctx context.Context, m *making) error {
	if len(m.secrets) == 0 {
		return nil
	}
	cfg, s := m.cfg, &m.spec
	files := &record.Secrets{At: e.bindsPath(cfg.ID) + "-secrets", Options: label.FormatMountLabel("mode=0700", cfg.MountLabel)}
	for _, want := range m.secrets {
		found, data, err := e.Secrets().Lookup(ctx, want.Source)
		if err != nil {
			return hint.Add(err, "list the secrets with: %s", hint.To(hint.ListSecrets))
		}
		if want.Env != "" {
			if bytes.IndexByte(data, 0) >= 0 {
				return field.Errorf("%s %s: it contains a NUL byte, which no variable can have: leave out type=env", field.Name("secret"), want.Source)
			}
			s.Env = slices.DeleteFunc(s.Env, func(kv string) bool { return strings.HasPrefix(kv, want.Env+"=") })
			s.Env = append(s.Env, want.Env+"="+string(data))
			cfg.SecretEnv = append(cfg.SecretEnv, want.Env)
			continue
		}
		f := record.Secret{Name: found.Name, ID: found.ID, UID: want.UID, GID: want.GID, Mode: want.Mode}
		if f.HostUID, f.HostGID, err = s.UserNS.HostIDs(s.Host, want.UID, want.GID); err != nil {
			return field.Errorf("%s %s: %w", field.Name("secret"), want.Source, err)
		}
		file := strconv.Itoa(len(files.Files))
		if err := os.MkdirAll(filepath.Join(m.dir, record.SecretsDir), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(m.dir, record.SecretsDir, file), data, 0o600); err != nil {
			return storeHint(err, e.storeOpts.GraphRoot)
		}
		files.Files = append(files.Files, f)
		s.Made = append(s.Made, specs.Mount{
			Destination: want.Target, Type: "bind", Source: filepath.Join(files.At, file), Options: []string{"bind", "rprivate", "nosuid", "noexec", "nodev", "ro"},
		})
	}
	if len(files.Files) > 0 {
		cfg.Secrets = files
	}
	return nil
}

// secretCheck looks for data of secrets that are gone or never came to be, which their drivers have failed to delete.
type secretCheck struct{ e *Engine }

func (secretCheck) Name() string { return "secrets" }

func (c secretCheck) Check(ctx context.Context, _ bool) ([]doctor.Problem, error) {
	names, err := c.e.Secrets().Unsettled(ctx)
	if err != nil {
		return nil, err
	}
	var found problems
	for _, name := range names {
		found.report(nil, "the driver of secret %s has failed to delete what it held", name)
	}
	return found.found, nil
}

// secretsOf are the secrets that a container has as files, as inspect shows them.
func secretsOf(cfg *record.Config) []InspectSecret {
	list := []InspectSecret{}
	if cfg.Secrets == nil {
		return list
	}
	for _, s := range cfg.Secrets.Files {
		list = append(list, InspectSecret{Name: s.Name, ID: s.ID, UID: s.UID, GID: s.GID, Mode: s.Mode})
	}
	return list
}

// InspectSecret is a secret that a container has as a file.
type InspectSecret struct {
	Name, ID       string
	UID, GID, Mode uint32
}
