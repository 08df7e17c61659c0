// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// endpoint is a repository at one of the places where registries.conf has it, and the client that speaks to it
// (distribution-spec 1.1). It is used for artifacts of some kilobytes, so everything is held in memory. Which scheme a registry
// speaks and how one logs in is go-containerregistry's to find out, on top of the guard.
type endpoint struct {
	host     string // HOST[:PORT] of the API
	path     string // the repository
	registry name.Registry
	login    authn.AuthConfig // what auth.json has for the registry
	guard    http.RoundTripper

	mu      sync.Mutex // guards the field below
	clients [2]*http.Client
}

// client returns one that is logged in for reading, or with push for writing.
func (e *endpoint) client(ctx context.Context, push bool) (*http.Client, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	i, scope := 0, "repository:"+e.path+":pull"
	if push {
		i, scope = 1, scope+",push"
	}
	if e.clients[i] == nil {
		t, err := transport.NewWithContext(ctx, e.registry, authn.FromConfig(e.login), e.guard, []string{scope})
		if err != nil {
			return nil, err
		}
		e.clients[i] = &http.Client{Transport: t}
	}
	return e.clients[i], nil
}

// statusError is an answer that is a refusal.
type statusError struct {
	code int
	text string // what the registry says about it
}

func (e *statusError) Error() string {
	s := fmt.Sprintf("the registry answered %d %s", e.code, http.StatusText(e.code))
	if e.text != "" {
		s += ": " + e.text
	}
	return s
}

// guard bounds what a registry and its token server can answer, and keeps off plain http unless it is allowed, after redirects too.
type guard struct {
	next     http.RoundTripper
	insecure bool
}

func (g *guard) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Scheme != "https" && !g.insecure {
		return nil, fmt.Errorf("%s is not marked insecure in registries.conf, so it is not spoken to over plain http", req.URL.Host)
	}
	resp, err := g.next.RoundTrip(req)
	if err == nil {
		resp.Body = &bounded{resp.Body, maxReply}
	}
	return resp, err
}

// bounded is an answer of at most some bytes.
type bounded struct {
	io.ReadCloser
	left int
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.left -= n; b.left < 0 {
		return 0, fmt.Errorf("the registry answers with more than %d bytes", maxReply)
	}
	return n, err
}

// reply is an answer with its whole body.
type reply struct {
	code   int
	header http.Header
	body   []byte
	url    *url.URL
}

// request is what is asked; path begins with "/v2/" or is a whole URL of the registry.
type request struct {
	method, path string
	header       map[string]string
	body         []byte
	push         bool // needs the right to write
}

// do asks, logs in where that is wanted, and asks again after passing failures. Codes of 300 and above are
// a *statusError.
func (e *endpoint) do(ctx context.Context, r request) (*reply, error) {
	wait := 200 * time.Millisecond
	for try := 0; ; try++ {
		a, err := e.attempt(ctx, r)
		if err == nil || try == 2 || ctx.Err() != nil || !passing(err) {
			return a, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(wait):
			wait *= 3
		}
	}
}

// passing reports whether a failure may be gone a moment later. Whoever does not listen will not listen then either.
func passing(err error) bool {
	var status *statusError
	if errors.As(err, &status) {
		return status.code == http.StatusTooManyRequests || status.code >= 502 && status.code <= 504
	}
	return errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF)
}

func (e *endpoint) attempt(ctx context.Context, r request) (*reply, error) {
	a, err := e.send(ctx, r)
	var refused *transport.Error
	if errors.As(err, &refused) { // while logging in
		return nil, &statusError{refused.StatusCode, refusal(refused)}
	}
	if err != nil {
		return nil, err
	}
	if a.code >= 300 {
		return a, &statusError{a.code, complaint(a.body)}
	}
	return a, nil
}

// complaint reads the errors of the distribution specification.
func complaint(body []byte) string {
	var list struct {
		Errors []struct{ Code, Message string } `json:"errors"`
	}
	if json.Unmarshal(body, &list) != nil {
		return ""
	}
	var all []string
	for _, e := range list.Errors {
		all = append(all, strings.ToLower(strings.TrimSpace(e.Code+" "+e.Message)))
	}
	return strings.Join(all, "; ")
}

// refusal is complaint for an answer that was read already.
func refusal(e *transport.Error) string {
	var all []string
	for _, d := range e.Errors {
		all = append(all, strings.ToLower(strings.TrimSpace(string(d.Code)+" "+d.Message)))
	}
	return strings.Join(all, "; ")
}

func (e *endpoint) send(ctx context.Context, r request) (_ *reply, err error) {
	client, err := e.client(ctx, r.push)
	if err != nil {
		return nil, err
	}
	target := r.path
	if strings.HasPrefix(target, "/") {
		target = "https://" + e.host + target // or http, if that is what it speaks
	}
	req, err := http.NewRequestWithContext(ctx, r.method, target, bytes.NewReader(r.body))
	if err != nil {
		return nil, err
	}
	for k, v := range r.header {
		req.Header.Set(k, v)
	}

	resp, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	return &reply{resp.StatusCode, resp.Header, body, resp.Request.URL}, nil
}
