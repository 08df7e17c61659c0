// SPDX-License-Identifier: Apache-2.0

package library

import (
	"io"
	"log"
	"net/http/httptest"
	"path/filepath"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"
	"go.podman.io/image/v5/copy"
	"go.podman.io/image/v5/docker"
	"go.podman.io/image/v5/signature"
	"go.podman.io/image/v5/signature/sigstore"
	"go.podman.io/image/v5/types"
)

// TestGuardKeepsPolicy pulls through the guard where policy.json asks for signatures of sigstore's kind.
func TestGuardKeepsPolicy(t *testing.T) {
	s := newTestStore(t)
	bad, _ := startRegistry(t)
	srv := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(srv.Close)
	host := srv.Listener.Addr().String()
	dir := t.TempDir()
	keys, err := sigstore.GenerateKeyPair([]byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	key, pub := writeFile(t, dir, "key", string(keys.PrivateKey)), writeFile(t, dir, "pub", string(keys.PublicKey))
	writeFile(t, dir, "default.yaml", "default-docker:\n  use-sigstore-attachments: true\n")
	sys := *s.sys
	sys.RegistriesDirPath, sys.DockerInsecureSkipTLSVerify = dir, types.OptionalBoolTrue
	anything, err := signature.NewPolicyContext(&signature.Policy{Default: signature.PolicyRequirements{signature.NewPRInsecureAcceptAnything()}})
	if err != nil {
		t.Fatal(err)
	}
	defer anything.Destroy()
	from, err := docker.ParseReference("//" + bad + "/ok:latest")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"signed", "unsigned"} {
		to, err := docker.ParseReference("//" + host + "/" + name + ":latest")
		if err != nil {
			t.Fatal(err)
		}
		opts := &copy.Options{SourceCtx: &sys, DestinationCtx: &sys, PreserveDigests: true}
		if name == "signed" {
			opts.SignBySigstorePrivateKeyFile, opts.SignSigstorePrivateKeyPassphrase = key, []byte("x")
		}
		if _, err := copy.Image(t.Context(), anything, to, from, opts); err != nil {
			t.Fatal(err)
		}
	}
	s.sys.RegistriesDirPath = dir
	s.sys.SignaturePolicyPath = writeFile(t, filepath.Dir(s.sys.SignaturePolicyPath), "strict.json",
		`{"default": [{"type": "reject"}], "transports": {"docker": {"`+host+`": [{"type": "sigstoreSigned", "keyPath": "`+pub+`", "signedIdentity": {"type": "matchRepository"}}]}}}`)
	rt, err := NewRuntime(s.lib, s.sys)
	if err != nil {
		t.Fatal(err)
	}
	defer rt.Close()
	if _, err := rt.Pull(t.Context(), host+"/unsigned", plainHTTP()); err == nil {
		t.Error("an image without a signature is taken")
	}
	if _, err := rt.Pull(t.Context(), bad+"/ok", plainHTTP()); err == nil {
		t.Error("an image of a registry that policy.json rejects is taken")
	}
	if _, err := rt.Pull(t.Context(), host+"/signed", plainHTTP()); err != nil {
		t.Errorf("an image with the signature that policy.json wants: %v", err)
	}
}
