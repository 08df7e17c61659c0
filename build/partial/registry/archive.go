// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/berth-containers/berth/build/partial"
)

// NetworkError is a failure to reach a source, as opposed to a source that says no.
type NetworkError struct{ Err error }

func (e *NetworkError) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *NetworkError) Unwrap() error { return e.Err }

// fetchArchive reads a part from an archive behind https. Its own digest must be among Sums or, for want of that,
// the part must have the digest that is locked (P063, P051).
func (l *Library) fetchArchive(ctx context.Context, loc location, locked string) (*partial.Part, error) {
	data, err := l.download(ctx, loc)
	if err != nil {
		return nil, err
	}
	sum := digestOf(data)
	switch want := l.opts.Sums[loc.path]; {
	case want == "" && locked == "":
		return nil, partial.Errorf("P063", "https source needs sha256=… (got %s)", sum)
	case want != "" && want != sum:
		return nil, partial.Errorf("P063", "%s: sha256=… does not fit (got %s, want %s)", loc.path, sum, want)
	}
	tree, err := untgz(bytes.NewReader(data))
	if err != nil {
		return nil, improper(loc, err)
	}
	p, err := readTree(loc, tree)
	if err != nil {
		return nil, err
	}
	if locked != "" && p.Digest != locked {
		return nil, changed(loc, p.Meta.Version, p.Digest, locked)
	}
	return p, l.keep(loc, p)
}

func (l *Library) download(ctx context.Context, loc location) (_ []byte, err error) {
	client := http.Client{}
	if l.opts.HTTP != nil {
		client = *l.opts.HTTP
	}
	client.CheckRedirect = func(req *http.Request, via []*http.Request) error {
		if req.URL.Scheme != "https" {
			return errors.New("it redirects to a place without https")
		}
		if len(via) >= 10 {
			return errors.New("it redirects in a circle")
		}
		return l.allowed(location{kind: archive, path: req.URL.String()})
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, loc.path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	var refused *partial.Error
	if errors.As(err, &refused) {
		return nil, refused
	}
	if err != nil {
		return nil, &NetworkError{fmt.Errorf("fetch %s: %w", loc.path, err)}
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	if resp.StatusCode != http.StatusOK {
		return nil, partial.Errorf("P022", "part %s not found (server answered %d); check the address", loc.ref, resp.StatusCode)
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxArchive+1))
	if err != nil {
		return nil, &NetworkError{fmt.Errorf("fetch %s: %w", loc.path, err)}
	}
	if len(data) > maxArchive {
		return nil, improper(loc, fmt.Errorf("the archive has more than %d bytes", maxArchive))
	}
	return data, nil
}
