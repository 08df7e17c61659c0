package registry

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/berth-containers/berth/build/partial"

	"go.podman.io/image/v5/copy"
	"go.podman.io/image/v5/docker"
	"go.podman.io/image/v5/signature"
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
	for _, name := range []string{"signed", "unsigned"} {
		if _, err := open("").Push(t.Context(), ref(host+"/p/"+name), newPart(t, "p/"+name, "1.0.0", ""), PushOptions{}); err != nil {
			t.Fatal(err)
		}
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
	image, err := docker.ParseReference("//" + host + "/p/signed:1.0.0")
	if err != nil {
		t.Fatal(err)
	}
	policy, err := signature.NewPolicyContext(&signature.Policy{Default: signature.PolicyRequirements{signature.NewPRInsecureAcceptAnything()}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = copy.Image(t.Context(), policy, image, image, &copy.Options{
		SourceCtx: sys, DestinationCtx: sys, PreserveDigests: true,
		SignBySigstorePrivateKeyFile: filepath.Join(dir, "key"), SignSigstorePrivateKeyPassphrase: []byte("x"),
	})
	if err = errors.Join(err, policy.Destroy()); err != nil {
		t.Fatal(err)
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
