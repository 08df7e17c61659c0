// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/berth-containers/berth/build/partial"

	ggcr "github.com/google/go-containerregistry/pkg/registry"
	"go.podman.io/image/v5/types"
)

// protected serves a registry over TLS that wants a login.
func protected(t *testing.T, scheme string) (host, cert string) {
	t.Helper()
	inner := ggcr.New(ggcr.WithReferrersSupport(true), ggcr.Logger(log.New(io.Discard, "", 0)))
	srv := httptest.NewUnstartedServer(nil)
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, basic := r.BasicAuth()
		good := basic && user == "jo" && password == "secret"
		if r.URL.Path == "/token" {
			scope := r.FormValue("scope")
			if !good && r.FormValue("refresh_token") != "identity" {
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			_ = json.NewEncoder(w).Encode(map[string]string{"token": "for " + scope})
			return
		}
		if scheme == "basic" && good {
			inner.ServeHTTP(w, r)
			return
		}
		may := "for repository:p/x:pull"
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			may += ",push"
		}
		if auth := r.Header.Get("Authorization"); scheme == "bearer" && strings.HasPrefix(auth, "Bearer "+may) {
			inner.ServeHTTP(w, r)
			return
		}
		challenge := `Basic realm="x"`
		if scheme == "bearer" {
			challenge = fmt.Sprintf(`Bearer realm="%s/token",service="s"`, srv.URL)
		}
		w.Header().Set("WWW-Authenticate", challenge)
		w.WriteHeader(http.StatusUnauthorized)
	})
	srv.StartTLS()
	t.Cleanup(srv.Close)
	data := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})
	return srv.Listener.Addr().String(), string(data)
}

// TestLogin uses auth.json and certs.d.
func TestLogin(t *testing.T) {
	for _, scheme := range []string{"basic", "bearer"} {
		host, cert := protected(t, scheme)
		with := func(auth string) *Library {
			sys := system(t, "")
			write(t, sys.AuthFilePath, auth)
			write(t, filepath.Join(sys.DockerPerHostCertDirPath, host, "ca.crt"), cert)
			return open(t, Options{Sys: sys})
		}
		name := host + "/p/x"
		p := newPart(t, "p/x", "1.0.0", "")
		l := with(`{"auths": {"` + host + `": {"auth": "am86c2VjcmV0"}}}`)
		if _, err := l.Push(t.Context(), ref(name), p, PushOptions{}); err != nil {
			t.Errorf("%s: Push = %v", scheme, err)
		}
		if got := versions(t, l, name); got != "1.0.0" {
			t.Errorf("%s: Releases = %s", scheme, got)
		}
		for _, auth := range []string{`{}`, `{"auths": {"` + host + `": {"auth": "am86d3Jvbmc="}}}`} {
			l := with(auth)
			if _, err := l.Releases(t.Context(), ref(name)); code(err) != "P022" || !strings.Contains(err.Error(), "registry answered 401") {
				t.Errorf("%s: Releases with %s = %v; want P022", scheme, auth, err)
			}
			if _, err := l.Push(t.Context(), ref(name), p, PushOptions{}); code(err) != "P022" {
				t.Errorf("%s: Push with %s = %v; want P022", scheme, auth, err)
			}
		}
		if scheme == "bearer" {
			l := with(`{}`)
			l.opts.Sys.DockerAuthConfig = &types.DockerAuthConfig{IdentityToken: "identity"}
			if got := versions(t, l, name); got != "1.0.0" {
				t.Errorf("Releases with an identity token = %s", got)
			}
		}
		// The certificate is not known.
		var unreachable *NetworkError
		if _, err := open(t, Options{Sys: system(t, "")}).Releases(t.Context(), ref(name)); !errors.As(err, &unreachable) || !strings.Contains(err.Error(), "certificate") {
			t.Errorf("%s: Releases without the certificate = %v", scheme, err)
		}
	}
}

// TestConf reads mirrors, blocks and rewritten locations from registries.conf.
func TestConf(t *testing.T) {
	up, _ := inMemory(t, true, nil)
	_, err := open(t, Options{Sys: system(t, "", up)}).Push(t.Context(), ref(up+"/mirror/p/x"), newPart(t, "p/x", "1.0.0", ""), PushOptions{})
	if err != nil {
		t.Fatal(err)
	}
	sys := system(t, "")
	conf := fmt.Sprintf(`
[[registry]]
prefix = "example.invalid"
location = "example.invalid"
[[registry.mirror]]
location = "%[1]s/mirror"
insecure = true
[[registry]]
prefix = "moved.invalid/old"
location = "%[1]s/mirror/p"
insecure = true
[[registry]]
location = "blocked.invalid"
blocked = true
`, up)
	if err := os.WriteFile(sys.SystemRegistriesConfPath, []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
	l := open(t, Options{Sys: sys})
	for _, name := range []string{"example.invalid/p/x", "moved.invalid/old/x"} {
		if p, err := l.Part(t.Context(), ref(name), partial.Release{Version: "1.0.0"}); err != nil || p.Meta.Name != "p/x" {
			t.Errorf("Part(%s) = %v", name, err)
		}
	}
	if _, err := l.Releases(t.Context(), ref("blocked.invalid/p/x")); code(err) != "P060" {
		t.Errorf("Releases of a blocked registry = %v; want P060", err)
	}
}

// TestRetry has the registry fail twice before it answers.
func TestRetry(t *testing.T) {
	fails := 0
	host, _ := inMemory(t, true, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if fails > 0 {
				fails--
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			h.ServeHTTP(w, r)
		})
	})
	l := open(t, Options{Sys: system(t, "", host)})
	if _, err := l.Push(t.Context(), ref(host+"/p/x"), newPart(t, "p/x", "1.0.0", ""), PushOptions{}); err != nil {
		t.Fatal(err)
	}
	fails = 2
	if got := versions(t, l, host+"/p/x"); got != "1.0.0" || fails != 0 {
		t.Errorf("Releases = %s, %d failures left", got, fails)
	}
}

// TestCredentialsStay has a registry lead its client to another server, as a redirect, as the place of the next page and of an upload, and
// as its token server. That one never sees what the client has logged in with.
func TestCredentialsStay(t *testing.T) {
	var leaked, asked []string
	stranger := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.URL.Path)
		if auth := r.Header.Get("Authorization"); auth != "" {
			leaked = append(leaked, r.URL.Path+": "+auth)
		}
		_, _ = io.WriteString(w, "{}")
	}))
	t.Cleanup(stranger.Close)
	lead := ""
	host, _ := inMemory(t, true, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if user, password, ok := r.BasicAuth(); !ok || user != "jo" || password != "secret" {
				challenge := `Basic realm="x"`
				if lead == "token" {
					challenge = fmt.Sprintf(`Bearer realm="%s/token",service="s"`, stranger.URL)
				}
				w.Header().Set("WWW-Authenticate", challenge)
				w.WriteHeader(http.StatusUnauthorized)
				return
			}
			switch {
			case lead == "redirect" && strings.Contains(r.URL.Path, "/blobs/"):
				http.Redirect(w, r, stranger.URL+r.URL.Path, http.StatusTemporaryRedirect)
			case lead == "upload" && r.Method == http.MethodPost:
				w.Header().Set("Location", stranger.URL+"/upload")
				w.WriteHeader(http.StatusAccepted)
			case lead == "page" && strings.HasSuffix(r.URL.Path, "/tags/list"):
				w.Header().Set("Link", "<"+stranger.URL+`/v2/p/x/tags/list>; rel="next"`)
				_, _ = io.WriteString(w, `{"name":"p/x","tags":["1.0.0"]}`)
			default:
				h.ServeHTTP(w, r)
			}
		})
	})
	library := func() *Library {
		sys := system(t, "", host)
		write(t, sys.AuthFilePath, `{"auths": {"`+host+`": {"auth": "am86c2VjcmV0"}}}`)
		return open(t, Options{Sys: sys})
	}
	name := host + "/p/x"
	p := newPart(t, "p/x", "1.0.0", "")
	if _, err := library().Push(t.Context(), ref(name), p, PushOptions{}); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		lead  string
		asked bool // the other server is reached
		works bool
		do    func(l *Library) error
	}{
		{"redirect", true, false, func(l *Library) error {
			_, err := l.Part(t.Context(), ref(name), partial.Release{Version: "1.0.0"})
			return err
		}},
		{"upload", true, true, func(l *Library) error {
			_, err := l.Push(t.Context(), ref(host+"/p/y"), newPart(t, "p/y", "1.0.0", ""), PushOptions{})
			return err
		}},
		{"page", false, true, func(l *Library) error {
			_, err := l.Releases(t.Context(), ref(name))
			return err
		}},
		{"token", false, false, func(l *Library) error {
			_, err := l.Releases(t.Context(), ref(name))
			return err
		}},
	} {
		lead, leaked, asked = tc.lead, nil, nil
		err := tc.do(library())
		if len(leaked) > 0 || tc.asked != (len(asked) > 0) {
			t.Errorf("%s: %v; the other server was asked %q and told %q", tc.lead, err, asked, leaked)
		}
		if worked := err == nil; worked != tc.works {
			t.Errorf("%s: %v", tc.lead, err)
		}
	}
}

// TestTokenIsBounded has a token server that does not stop.
func TestTokenIsBounded(t *testing.T) {
	var sent int
	var srv *httptest.Server
	srv = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/token" {
			w.Header().Set("WWW-Authenticate", fmt.Sprintf(`Bearer realm="%s/token",service="s"`, srv.URL))
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = io.WriteString(w, `{"token":"`)
		for part := []byte(strings.Repeat("x", 1<<20)); sent < 1<<30; sent += len(part) {
			if _, err := w.Write(part); err != nil {
				return
			}
		}
	}))
	t.Cleanup(srv.Close)
	host := srv.Listener.Addr().String()
	var unreachable *NetworkError
	_, err := open(t, Options{Sys: system(t, "", host)}).Releases(t.Context(), ref(host+"/p/x"))
	if !errors.As(err, &unreachable) || sent > 2*maxReply {
		t.Errorf("Releases = %v after %d bytes", err, sent)
	}
}
