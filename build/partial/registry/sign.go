// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/berth-containers/berth/internal/hint"

	"go.podman.io/image/v5/copy"
	"go.podman.io/image/v5/docker"
	"go.podman.io/image/v5/signature"
)

// sign adds a sigstore signature to a published version, as podman and skopeo sign images: it is an attachment in the same
// repository, which registries.d has to allow.
func (l *Library) sign(ctx context.Context, loc location, version string, opts PushOptions) (err error) {
	ref, err := docker.ParseReference("//" + loc.path + ":" + version)
	if err != nil {
		return err
	}
	policy, err := signature.NewPolicyContext(&signature.Policy{Default: signature.PolicyRequirements{signature.NewPRInsecureAcceptAnything()}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, policy.Destroy()) }()
	_, err = copy.Image(ctx, policy, ref, ref, &copy.Options{
		SourceCtx: l.opts.Sys, DestinationCtx: l.opts.Sys, PreserveDigests: true, ReportWriter: io.Discard,
		SignBySigstorePrivateKeyFile: opts.SignKey, SignSigstorePrivateKeyPassphrase: opts.Passphrase,
	})
	if err != nil {
		return hint.Add(fmt.Errorf("sign %s %s: %w", loc.ref, version, err),
			"the part is published, without a signature; signatures need \"use-sigstore-attachments: true\" for %s in /etc/containers/registries.d", loc.path)
	}
	return nil
}
