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

	"github.com/docker/distribution/registry/client/auth/challenge"
)

// endpoint is a repository at one of the places where registries.conf has it, and the client that speaks to it
// (distribution-spec 1.1). It is used for artifacts of some kilobytes, so everything is held in memory.
type endpoint struct {
	host string // HOST[:PORT] of the API
	path string // the repository
	http *http.Client

	insecure bool // plain http is tried where https does not work
	login    login

	mu     sync.Mutex // guards the fields below
	scheme string     // that worked; "" before the first request
	header string     // Authorization that was accepted last
}

// login is what auth.json has for the registry.
type login struct{ user, password, identity, bearer string }

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

// guard bounds what a registry can answer, and keeps off plain http unless it is allowed, after redirects too.
type guard struct {
	next     http.RoundTripper
	insecure bool
}

func (g *guard) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Scheme != "https" && !g.insecure {
		return nil, fmt.Errorf("%s is not marked insecure in registries.conf, so it is not spoken to over plain http", req.URL.Host)
	}
	return g.next.RoundTrip(req)
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

// passing tells whether a failure may be gone a moment later. Whoever does not listen will not listen then either.
func passing(err error) bool {
	var status *statusError
	if errors.As(err, &status) {
		return status.code == http.StatusTooManyRequests || status.code >= 502 && status.code <= 504
	}
	return errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF)
}

func (e *endpoint) attempt(ctx context.Context, r request) (*reply, error) {
	a, err := e.once(ctx, r)
	if err == nil && a.code == http.StatusUnauthorized {
		if err := e.authorize(ctx, a, r.push); err != nil {
			return nil, err
		}
		a, err = e.once(ctx, r)
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

// once sends a request over the scheme that works.
func (e *endpoint) once(ctx context.Context, r request) (*reply, error) {
	e.mu.Lock()
	scheme, auth := e.scheme, e.header
	e.mu.Unlock()
	schemes := []string{"https"}
	if e.insecure {
		schemes = append(schemes, "http")
	}
	if scheme != "" {
		schemes = []string{scheme}
	}
	var last error
	for _, s := range schemes {
		target := r.path
		if strings.HasPrefix(target, "/") {
			target = s + "://" + e.host + target
		}
		a, err := e.send(ctx, r, target, auth)
		if err == nil {
			e.mu.Lock()
			e.scheme = s
			e.mu.Unlock()
			return a, nil
		}
		last = err
	}
	return nil, last
}

func (e *endpoint) send(ctx context.Context, r request, target, auth string) (_ *reply, err error) {
	req, err := http.NewRequestWithContext(ctx, r.method, target, bytes.NewReader(r.body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", "berth")
	for k, v := range r.header {
		req.Header.Set(k, v)
	}
	if auth != "" && req.URL.Host == e.host {
		req.Header.Set("Authorization", auth)
	}
	resp, err := e.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxReply+1))
	if err != nil {
		return nil, err
	}
	if len(body) > maxReply {
		return nil, fmt.Errorf("the registry answers with more than %d bytes", maxReply)
	}
	return &reply{resp.StatusCode, resp.Header, body, resp.Request.URL}, nil
}

// authorize logs in as the registry asks for it, with a token where it can.
func (e *endpoint) authorize(ctx context.Context, a *reply, push bool) error {
	refused := &statusError{a.code, complaint(a.body)}
	if e.login.bearer != "" {
		return e.use("Bearer "+e.login.bearer, refused)
	}
	for _, c := range challenge.ResponseChallenges(&http.Response{StatusCode: a.code, Header: a.header}) {
		switch strings.ToLower(c.Scheme) {
		case "bearer":
			token, err := e.token(ctx, c.Parameters, push)
			if err != nil {
				return err
			}
			return e.use("Bearer "+token, refused)
		case "basic":
			if e.login.user == "" {
				return refused
			}
			req := http.Request{Header: http.Header{}}
			req.SetBasicAuth(e.login.user, e.login.password)
			return e.use(req.Header.Get("Authorization"), refused)
		}
	}
	return refused
}

// use takes an Authorization header, unless that is the one that was refused.
func (e *endpoint) use(header string, refused error) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.header == header {
		return refused
	}
	e.header = header
	return nil
}

// token asks the token server that the registry names (distribution: "Token Authentication").
func (e *endpoint) token(ctx context.Context, params map[string]string, push bool) (string, error) {
	realm, err := url.Parse(params["realm"])
	if err != nil || realm.Host == "" {
		return "", fmt.Errorf("log in: the registry names no token server (%q)", params["realm"])
	}
	scope := "repository:" + e.path + ":pull"
	if push {
		scope += ",push"
	}
	q := realm.Query()
	q.Set("scope", scope)
	if params["service"] != "" {
		q.Set("service", params["service"])
	}
	r := request{method: http.MethodGet, header: map[string]string{}}
	if e.login.identity != "" {
		q.Set("grant_type", "refresh_token")
		q.Set("refresh_token", e.login.identity)
		q.Set("client_id", "berth")
		r.method, r.body = http.MethodPost, []byte(q.Encode())
		r.header["Content-Type"] = "application/x-www-form-urlencoded"
	} else {
		realm.RawQuery = q.Encode()
		if e.login.user != "" {
			req := http.Request{Header: http.Header{}}
			req.SetBasicAuth(e.login.user, e.login.password)
			r.header["Authorization"] = req.Header.Get("Authorization")
		}
	}
	a, err := e.send(ctx, r, realm.String(), "")
	if err != nil {
		return "", fmt.Errorf("log in at %s: %w", realm.Host, err)
	}
	if a.code >= 300 {
		return "", &statusError{a.code, complaint(a.body)}
	}
	var t struct {
		Token  string `json:"token"`
		Access string `json:"access_token"`
	}
	if err := json.Unmarshal(a.body, &t); err != nil || t.Token+t.Access == "" {
		return "", fmt.Errorf("log in at %s: it gives no token", realm.Host)
	}
	if t.Token == "" {
		t.Token = t.Access
	}
	return t.Token, nil
}
