// SPDX-License-Identifier: Apache-2.0

package library

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"

	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/internal/unpack"
	"github.com/berth-containers/berth/libctr/image"
	"github.com/docker/distribution/registry/api/errcode"
	errcodev2 "github.com/docker/distribution/registry/api/v2"
	"go.podman.io/image/v5/docker"
	"go.podman.io/image/v5/docker/reference"
	"go.podman.io/image/v5/pkg/sysregistriesv2"
)

// errInterrupted is what an ended context looks like to the user.
var errInterrupted = errors.New("interrupted; nothing was kept")

// explain adds what the user can do about an error of the store or its disk.
//
// The storage library unpacks layers in a child process, whose errors arrive as text;
// so the text is looked at, here only, where the error's type says nothing.
func explain(ctx context.Context, err error, root string) error {
	is := func(errno syscall.Errno) bool {
		return errors.Is(err, errno) || strings.Contains(err.Error(), errno.Error())
	}
	switch {
	case ctx.Err() != nil:
		return errors.Join(errInterrupted, ctx.Err())
	case errors.Is(err, unpack.ErrRefused): // it has a hint
	case is(syscall.ENOSPC), is(syscall.EDQUOT):
		return hint.Add(err, "the disk is full: see df -h %s; %s removes images without a name, TMPDIR=DIR moves the temporary files", root, hint.To(hint.PruneImages))
	case is(syscall.EROFS):
		return hint.Add(err, "%s is on a read-only file system: remount it, or choose another store with %s", root, field.Name("root"))
	case strings.Contains(err.Error(), "potentially insufficient UIDs or GIDs"):
		return hint.Add(err, "the image has files of more users than you have subordinate IDs: see /etc/subuid and /etc/subgid")
	}
	return err
}

// Explain adds to an error of getting the image called name what the user can do about it.
func (r *Runtime) Explain(ctx context.Context, err error, name string) error {
	return r.explainPull(ctx, err, name)
}

// refused returns the reason why a layer was refused in place of what the libraries made of it.
func (r *Runtime) refused(err error) error {
	if why := r.store.TakeRefused(); why != nil {
		return why
	}
	return err
}

// explainPull adds what the user can do about an error of a pull.
func (r *Runtime) explainPull(ctx context.Context, err error, name string) error {
	if ctx.Err() != nil {
		return explain(ctx, err, r.store.GraphRoot())
	}
	if errors.Is(err, image.ErrNotFound) {
		return hint.Add(err, "pull it with: %s", hint.To(hint.PullImage, name))
	}
	if errors.Is(err, unpack.ErrRefused) {
		return err // it has a hint
	}
	if r.unresolvable(name) {
		err = fmt.Errorf("pull image %q: it is not in the store, and %s names no registry to look for short names in", name, r.registriesConf())
		return hint.Add(err, "name the registry, as in docker.io/library/%s, or list it as unqualified-search-registries in registries.conf(5)", name)
	}
	if h := RegistryHint(err, r.registry(name)); !h.Empty() {
		return hint.With(err, h)
	}
	return explain(ctx, err, r.store.GraphRoot())
}

// unresolvable reports whether name is a short name that no configuration completes.
func (r *Runtime) unresolvable(name string) bool {
	named, err := image.ParseName(name)
	if err != nil || !image.IsShort(named) {
		return false
	}
	registries, err := sysregistriesv2.UnqualifiedSearchRegistries(&r.sys)
	if err != nil || len(registries) > 0 {
		return false
	}
	alias, _, err := sysregistriesv2.ResolveShortNameAlias(&r.sys, reference.TrimNamed(named).String())
	return err == nil && alias == nil
}

// registriesConf is the main registries.conf in use.
func (r *Runtime) registriesConf() string {
	paths, err := image.RegistriesSearchPaths(&r.sys)
	if err == nil {
		for _, p := range paths.MainFiles {
			if exists(p) {
				return p
			}
		}
	}
	return "registries.conf"
}

// registry returns the registry that name is looked for first, or the word REGISTRY.
func (r *Runtime) registry(name string) string {
	named, err := image.ParseName(strings.TrimPrefix(name, "docker://"))
	if err != nil {
		return "REGISTRY"
	}
	if !image.IsShort(named) {
		return reference.Domain(named)
	}
	alias, _, err := sysregistriesv2.ResolveShortNameAlias(&r.sys, reference.TrimNamed(named).String())
	if err == nil && alias != nil {
		return reference.Domain(alias)
	}
	registries, err := sysregistriesv2.UnqualifiedSearchRegistries(&r.sys)
	if err != nil || len(registries) == 0 {
		return "REGISTRY"
	}
	return registries[0]
}

// RegistryHint returns what the user can do about an error of a registry, or of the file with the credentials for it; it is
// empty where nothing is known.
func RegistryHint(err error, registry string) hint.Hint {
	var unknownHost *net.DNSError
	var badCert *tls.CertificateVerificationError
	switch file := credentialsFile(err); {
	case file != "":
		return hint.Textf("the file with credentials, %s, cannot be read: repair or remove it, then log in with: %s", file, hint.To(hint.Login, registry))
	case isStatus(err, http.StatusUnauthorized, http.StatusForbidden):
		return hint.Textf("log in with: %s", hint.To(hint.Login, registry))
	case isStatus(err, http.StatusNotFound):
		return hint.Textf("check the spelling of name and tag; some registries also say so of what only a login shows: %s", hint.To(hint.Login, registry))
	case errors.Is(err, docker.ErrTooManyRequests):
		return hint.Textf("the registry limits anonymous pulls: %s", hint.To(hint.Login, registry))
	case errors.Is(err, syscall.ECONNREFUSED) && registry == "localhost":
		return hint.Textf("localhost/ is where images that were built or loaded here are, and this one is not in the store: see %s", hint.To(hint.ListImages))
	case errors.Is(err, syscall.ECONNREFUSED):
		return hint.Textf("nothing listens there: is %s the right address, and is the registry up?", registry)
	case errors.As(err, &unknownHost):
		return hint.Textf("the name %s cannot be resolved: check its spelling and the network", unknownHost.Name)
	case errors.Is(err, http.ErrSchemeMismatch):
		return hint.Textf("%s speaks HTTP without TLS: use %s=false, or set insecure = true for it in registries.conf(5)", registry, field.Name("tls-verify"))
	case errors.As(err, &badCert):
		return hint.Textf("put the CA's certificate in /etc/containers/certs.d/%s/ca.crt, or use %s; %s=false trusts anyone", registry, field.Name("cert-dir"), field.Name("tls-verify"))
	case errors.Is(err, io.ErrUnexpectedEOF):
		return hint.Textf("the registry, or a proxy before it, broke off the transfer: try again")
	case isWrongDigest(err):
		return hint.Textf("what the registry sent is not what its manifest promises: the blob is damaged there, or was changed on the way")
	}
	return hint.Hint{}
}

// credentialsFile is the file with credentials that the error is about, or empty. containers/image has a text only.
func credentialsFile(err error) string {
	_, rest, ok := strings.Cut(err.Error(), `reading JSON file "`)
	if !ok {
		return ""
	}
	file, _, _ := strings.Cut(rest, `"`)
	return file
}

// isStatus reports whether a registry's answer had one of the HTTP statuses, or the
// distribution specification's error code for it.
func isStatus(err error, statuses ...int) bool {
	var unexpected docker.UnexpectedHTTPStatusError
	var credentials docker.ErrUnauthorizedForCredentials
	var coded errcode.ErrorCoder
	got := 0
	switch {
	case errors.As(err, &credentials):
		got = http.StatusUnauthorized
	case errors.As(err, &unexpected):
		got = unexpected.StatusCode
	case errors.As(err, &coded):
		switch coded.ErrorCode() {
		case errcode.ErrorCodeUnauthorized, errcode.ErrorCodeDenied:
			got = http.StatusUnauthorized
		case errcodev2.ErrorCodeManifestUnknown, errcodev2.ErrorCodeNameUnknown, errcodev2.ErrorCodeBlobUnknown:
			got = http.StatusNotFound
		}
	}
	for _, s := range statuses {
		// An answer without the specification's JSON has a private type.
		if got == s || strings.Contains(err.Error(), "StatusCode: "+strconv.Itoa(s)) {
			return true
		}
	}
	return false
}

// isWrongDigest knows the texts of containers/image, which has no type for this.
func isWrongDigest(err error) bool {
	text := err.Error()
	for _, s := range []string{"Digest did not match", "does not match config's DiffID", "does not match expected", "does not match provided manifest digest"} {
		if strings.Contains(text, s) {
			return true
		}
	}
	return false
}

// short leaves out what containers/image puts in front of an error of a pull: the name,
// which Pull says itself, twice.
func short(err error) error {
	for _, prefix := range []string{"unable to copy from source ", "initializing source "} {
		if inner := errors.Unwrap(err); inner != nil && strings.HasPrefix(err.Error(), prefix) {
			err = inner
		}
	}
	return err
}
