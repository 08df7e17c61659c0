// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/berth-containers/berth/build/partial"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"go.podman.io/image/v5/docker/reference"
	"go.podman.io/image/v5/pkg/docker/config"
	"go.podman.io/image/v5/pkg/sysregistriesv2"
	"go.podman.io/image/v5/pkg/tlsclientconfig"
	"go.podman.io/image/v5/types"
	"go.podman.io/storage/pkg/configfile"
)

// sources lists where a repository (HOST/PATH) can be read, mirrors first. The last one is where it is written.
func (l *Library) sources(repo string) ([]*endpoint, error) {
	if known, ok := l.places.Load(repo); ok {
		return known.([]*endpoint), nil
	}
	named, err := reference.ParseNormalizedNamed(repo)
	if err != nil {
		return nil, fmt.Errorf("read repository %q: %w", repo, err)
	}
	conf, err := sysregistriesv2.FindRegistry(l.opts.Sys, named.Name())
	if err != nil && !errors.Is(err, configfile.ErrConfigFileNotFound) {
		return nil, fmt.Errorf("read registries.conf: %w", err)
	}
	if conf == nil {
		conf = &sysregistriesv2.Registry{Prefix: reference.Domain(named)}
		conf.Location = reference.Domain(named)
	}
	if conf.Blocked {
		return nil, partial.Errorf("P060", "source %s is blocked by registries.conf", repo)
	}
	found, err := conf.PullSourcesFromReference(reference.TagNameOnly(named))
	if err != nil {
		return nil, fmt.Errorf("read registries.conf for %s: %w", repo, err)
	}
	var all []*endpoint
	for _, s := range found {
		e, err := l.endpoint(s.Reference, s.Endpoint.Insecure)
		if err != nil {
			return nil, err
		}
		all = append(all, e)
	}
	l.places.Store(repo, all)
	return all, nil
}

func (l *Library) endpoint(ref reference.Named, insecure bool) (*endpoint, error) {
	sys := l.opts.Sys
	if sys == nil {
		sys = &types.SystemContext{}
	}
	switch sys.DockerInsecureSkipTLSVerify {
	case types.OptionalBoolTrue:
		insecure = true
	case types.OptionalBoolFalse:
		insecure = false
	}
	host := reference.Domain(ref)
	direct := tlsclientconfig.NewTransport()
	direct.ResponseHeaderTimeout = time.Minute
	direct.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: insecure} //nolint:gosec // only where registries.conf or the user says so
	for _, dir := range certDirs(sys, host) {
		if err := tlsclientconfig.SetupCertificates(dir, direct.TLSClientConfig); err != nil {
			return nil, fmt.Errorf("read certificates for %s: %w", host, err)
		}
	}
	auth, err := credentials(sys, ref)
	if err != nil {
		return nil, err
	}
	if host == "docker.io" {
		host = "registry-1.docker.io" // where its API is
	}
	var scheme []name.Option
	if insecure {
		scheme = append(scheme, name.Insecure) // https is tried first
	}
	api, err := name.NewRegistry(host, scheme...)
	if err != nil {
		return nil, fmt.Errorf("read the name of registry %s: %w", host, err)
	}
	return &endpoint{
		host: host, path: reference.Path(ref), registry: api, login: auth,
		guard: transport.NewUserAgent(&guard{direct, insecure}, "berth"),
	}, nil
}

// certDirs are where containers-certs.d(5) has the certificates of a host.
func certDirs(sys *types.SystemContext, host string) []string {
	if sys.DockerCertPath != "" {
		return []string{sys.DockerCertPath}
	}
	if sys.DockerPerHostCertDirPath != "" {
		return []string{filepath.Join(sys.DockerPerHostCertDirPath, host)}
	}
	var dirs []string
	if home, err := os.UserConfigDir(); err == nil {
		dirs = append(dirs, filepath.Join(home, "containers", "certs.d", host))
	}
	for _, top := range []string{"/etc/containers/certs.d", "/etc/docker/certs.d"} {
		dirs = append(dirs, filepath.Join(top, host))
	}
	for _, d := range dirs {
		if _, err := os.Stat(d); err == nil {
			return []string{d} // the first that is there, as for images
		}
	}
	return nil
}

func credentials(sys *types.SystemContext, ref reference.Named) (authn.AuthConfig, error) {
	if t := sys.DockerBearerRegistryToken; t != "" {
		return authn.AuthConfig{RegistryToken: t}, nil
	}
	a, err := config.GetCredentialsForRef(sys, ref)
	if sys.DockerAuthConfig != nil {
		a, err = *sys.DockerAuthConfig, nil
	}
	if err != nil {
		return authn.AuthConfig{}, fmt.Errorf("read the credentials for %s: %w", reference.Domain(ref), err)
	}
	return authn.AuthConfig{Username: a.Username, Password: a.Password, IdentityToken: a.IdentityToken}, nil
}
