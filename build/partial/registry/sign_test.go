// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/berth-containers/berth/build/partial"

	"go.podman.io/image/v5/signature/sigstore"
)

// TestSigned signs a part as skopeo and podman sign images, and has policy.json require that.
func TestSigned(t *testing.T) {
	host := distribution(t)
	sys := system(t, "", host)
	write(t, filepath.Join(sys.RegistriesDirPath, "default.yaml"), "default-docker:\n  use-sigstore-attachments: true\n")
	open := func(policy string) *Library {
		if policy != "" {
			write(t, sys.SignaturePolicyPath, policy)
		}
		return open(t, Options{Sys: sys})
	}
	dir := t.TempDir()
	keys, err := sigstore.GenerateKeyPair([]byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"key": keys.PrivateKey, "pub": keys.PublicKey} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	digests := map[string]string{}
	for name, opts := range map[string]PushOptions{"signed": {SignKey: filepath.Join(dir, "key"), Passphrase: []byte("x")}, "unsigned": {}} {
		if digests[name], err = open("").Push(t.Context(), ref(host+"/p/"+name), newPart(t, "p/"+name, "1.0.0", ""), opts); err != nil {
			t.Fatal(err)
		}
	}
	if d, err := open("").Digest(t.Context(), ref(host+"/p/signed"), "1.0.0"); err != nil || d != digests["signed"] {
		t.Errorf("signing changed the digest to %s, %v", d, err)
	}
	if _, err := open("").Push(t.Context(), ref(host+"/p/wrong"), newPart(t, "p/wrong", "1.0.0", ""), PushOptions{SignKey: filepath.Join(dir, "key"), Passphrase: []byte("y")}); err == nil {
		t.Error("Push with a wrong passphrase does not fail")
	}
	l := open(`{"default": [{"type": "reject"}], "transports": {"docker": {"` + host + `/p": [{"type": "sigstoreSigned", "keyPath": "` + filepath.Join(dir, "pub") + `", "signedIdentity": {"type": "matchRepository"}}]}}}`)
	if p, err := l.Part(t.Context(), ref(host+"/p/signed"), partial.Release{Version: "1.0.0"}); err != nil || p.Meta.Name != "p/signed" {
		t.Errorf("Part that is signed = %v", err)
	}
	_, err = l.Part(t.Context(), ref(host+"/p/unsigned"), partial.Release{Version: "1.0.0"})
	if code(err) != "P061" || !strings.Contains(err.Error(), "1.0.0: signature required by policy.json, none accepted") {
		t.Errorf("Part that is not signed = %v; want P061", err)
	}
	if got := versions(t, l, host+"/p/signed"); got != "1.0.0" {
		t.Errorf("Releases with a signature beside them = %s", got)
	}
}
