// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"bytes"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/berth-containers/berth/build/partial"
)

// TestRegistry publishes, finds and fetches with each sort of registry.
func TestRegistry(t *testing.T) {
	for name, start := range map[string]func(*testing.T) string{
		"in memory":      func(t *testing.T) string { h, _ := inMemory(t, true, nil); return h },
		"distribution 2": distribution,
	} {
		t.Run(name, func(t *testing.T) {
			host := start(t)
			sys := system(t, "", host)
			opts := Options{Sys: sys, Store: t.TempDir(), Aliases: map[string]string{"std": host + "/parts"}}
			l := open(t, opts)
			ctx := t.Context()
			digests := map[string]string{}
			for _, v := range []string{"1.0.0", "1.4.2", "1.4.1", "2.0.0-rc.1"} {
				d, err := l.Push(ctx, ref("std/nodejs"), newPart(t, "std/nodejs", v, "# provides: [\"nodejs=22\"]\n", script), PushOptions{Convenience: true, Index: true})
				if err != nil {
					t.Fatal(err)
				}
				digests[v] = d
			}
			if got := versions(t, l, "std/nodejs"); sortList(got) != "1.0.0, 1.4.1, 1.4.2, 2.0.0-rc.1" {
				t.Errorf("Releases = %s", got)
			}
			for tag, want := range map[string]string{"1.4": "1.4.2", "1": "1.4.2", "latest": "1.4.2", "1.0": "1.0.0"} {
				if d, err := l.Digest(ctx, ref("std/nodejs"), tag); err != nil || d != digests[want] {
					t.Errorf("tag %s is %s, %v; want that of %s", tag, d, err, want)
				}
			}
			t.Run("A25 P064", func(t *testing.T) {
				if d, err := l.Push(ctx, ref("std/nodejs"), newPart(t, "std/nodejs", "1.4.2", "# provides: [\"nodejs=22\"]\n", script), PushOptions{}); err != nil || d != digests["1.4.2"] {
					t.Errorf("Push of the same part again = %s, %v", d, err)
				}
				if _, err := l.Push(ctx, ref("std/nodejs"), newPart(t, "std/nodejs", "1.4.2", ""), PushOptions{}); code(err) != "P064" {
					t.Errorf("Push of another 1.4.2 = %v; want P064", err)
				}
			})
			fresh := open(t, Options{Sys: sys, Store: t.TempDir(), Aliases: opts.Aliases})
			m, err := fresh.Meta(ctx, ref("std/nodejs"), partial.Release{Version: "1.4.2"})
			if err != nil || m.Name != "std/nodejs" || m.Version != "1.4.2" {
				t.Errorf("Meta = %+v, %v", m, err)
			}
			p, err := fresh.Part(ctx, ref(host+"/parts/nodejs"), partial.Release{Version: "1.4.2"})
			if err != nil {
				t.Fatal(err)
			}
			if p.Digest != digests["1.4.2"] || len(p.Files) != 1 || p.Files[0] != script || !strings.Contains(p.Text, "echo 1.4.2") {
				t.Errorf("Part = %+v", p)
			}
			if p, err := fresh.Part(ctx, ref("std/nodejs"), partial.Release{Digest: digests["1.0.0"]}); err != nil || p.Meta.Version != "1.0.0" {
				t.Errorf("Part by digest = %v, %v", p, err)
			}
			if _, err := fresh.Part(ctx, ref("std/nodejs"), partial.Release{Version: "9.9.9"}); code(err) != "P022" {
				t.Errorf("Part 9.9.9 = %v; want P022", err)
			}
			if _, err := fresh.Releases(ctx, ref("std/nothing")); code(err) != "P022" || !strings.Contains(err.Error(), "registry answered 404") {
				t.Errorf("Releases of nothing = %v; want P022", err)
			}
			found, err := fresh.Search(ctx, "TESTS", "node")
			if err != nil || len(found) != 4 || found[0].Ref != "std/nodejs" || found[0].Version != "2.0.0-rc.1" || found[0].Digest != digests["2.0.0-rc.1"] {
				t.Errorf("Search = %+v, %v", found, err)
			}
			if names, err := fresh.Providers(ctx, "nodejs"); err != nil || !slices.Equal(names, []string{"std/nodejs"}) {
				t.Errorf("Providers = %v, %v", names, err)
			}
			if err := l.Yank(ctx, ref("std/nodejs"), "1.4.2", "it breaks npm"); err != nil {
				t.Fatal(err)
			}
			if got := versions(t, l, "std/nodejs"); sortList(got) != "1.0.0, 1.4.1, 1.4.2 yanked, 2.0.0-rc.1" {
				t.Errorf("Releases after yank = %s", got)
			}
			if d, err := l.Digest(ctx, ref("std/nodejs"), "1.4.2"); err != nil || d != digests["1.4.2"] {
				t.Errorf("yank changed the digest to %s, %v", d, err)
			}
			if err := l.Unyank(ctx, ref("std/nodejs"), "1.4.2"); err != nil {
				t.Errorf("Unyank = %v", err)
			}
			if got := versions(t, l, "std/nodejs"); sortList(got) != "1.0.0, 1.4.1, 1.4.2, 2.0.0-rc.1" {
				t.Errorf("Releases after Unyank = %s", got)
			}
			if d, err := l.Digest(ctx, ref("std/nodejs"), "1.4.2"); err != nil || d != digests["1.4.2"] {
				t.Errorf("Unyank changed the digest to %s, %v", d, err)
			}
			if err := l.Unyank(ctx, ref("std/nodejs"), "1.4.2"); code(err) != "P022" || !strings.Contains(err.Error(), "is not yanked") {
				t.Errorf("Unyank again = %v; want P022", err)
			}
			if err := l.Yank(ctx, ref("std/nodejs"), "7.0.0", ""); code(err) != "P022" {
				t.Errorf("Yank of nothing = %v; want P022", err)
			}
		})
	}
}

func sortList(s string) string {
	l := strings.Split(s, ", ")
	slices.Sort(l)
	return strings.Join(l, ", ")
}

// TestA24 overwrites a published tag behind the lock's back.
func TestA24(t *testing.T) {
	host, _ := inMemory(t, true, nil)
	opts := Options{Sys: system(t, "", host)}
	l := open(t, opts)
	name := host + "/p/x"
	locked, err := l.Push(t.Context(), ref(name), newPart(t, "p/x", "1.0.0", ""), PushOptions{})
	if err != nil {
		t.Fatal(err)
	}
	other, err := newPart(t, "p/x", "1.0.0", "# licenses: MIT\n").Pack()
	if err != nil {
		t.Fatal(err)
	}
	loc, e, err := l.target(ref(name))
	if err != nil {
		t.Fatal(err)
	}
	if err := e.publish(t.Context(), loc, "1.0.0", other.Manifest, other.Blobs); err != nil {
		t.Fatal(err)
	}
	_, err = open(t, opts).Part(t.Context(), ref(name), partial.Release{Version: "1.0.0", Digest: locked})
	if code(err) != "P051" || !strings.Contains(err.Error(), "digest is "+other.Digest+" but the lock says "+locked) {
		t.Errorf("Part = %v; want P051", err)
	}
	if d, err := open(t, opts).Digest(t.Context(), ref(name), "1.0.0"); err != nil || d != other.Digest {
		t.Errorf("Digest = %s, %v", d, err)
	}
	// A part that says it is another version than its tag.
	if err := e.publish(t.Context(), loc, "3.0.0", other.Manifest, other.Blobs); err != nil {
		t.Fatal(err)
	}
	if _, err := open(t, opts).Meta(t.Context(), ref(name), partial.Release{Version: "3.0.0"}); code(err) != "P051" {
		t.Errorf("Meta of a wrong tag = %v; want P051", err)
	}
}

// TestTampered has a registry, or somebody on the way, change what is sent.
func TestTampered(t *testing.T) {
	var change func(path string, body []byte) []byte
	host, _ := inMemory(t, true, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if change == nil || r.Method != http.MethodGet {
				h.ServeHTTP(w, r)
				return
			}
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, r)
			for k, v := range rec.Header() {
				w.Header()[k] = v
			}
			w.Header().Del("Content-Length")
			w.WriteHeader(rec.Code)
			_, _ = w.Write(change(r.URL.Path, rec.Body.Bytes()))
		})
	})
	opts := Options{Sys: system(t, "", host), Store: t.TempDir()}
	name := host + "/p/x"
	digest, err := open(t, Options{Sys: opts.Sys}).Push(t.Context(), ref(name), newPart(t, "p/x", "1.0.0", "", script), PushOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for what, tc := range map[string]struct {
		change func(path string, body []byte) []byte
		want   string
	}{
		"blob":     {func(p string, b []byte) []byte { return swap(p, "/blobs/", b, "echo", "ECHO") }, "P051"},
		"manifest": {func(p string, b []byte) []byte { return swap(p, "/manifests/", b, "p/x", "p/y") }, "P051"},
		"longer": {func(p string, b []byte) []byte {
			if strings.Contains(p, "/blobs/") {
				b = append(b, '\n')
			}
			return b
		}, "P051"},
		"huge": {func(p string, b []byte) []byte {
			if strings.Contains(p, "/blobs/") {
				b = bytes.Repeat([]byte("x"), maxReply+10)
			}
			return b
		}, "?"},
		"no part": {func(p string, b []byte) []byte {
			return swap(p, "/manifests/", b, "vnd.partials.part.v1", "vnd.something.v1")
		}, "P070"},
		"a blob of a gigabyte": {func(p string, b []byte) []byte { return swap(p, "/manifests/", b, `"size":`, `"size":1000000`) }, "P070"},
	} {
		change = tc.change
		opts.Store = t.TempDir()
		_, err := open(t, opts).Part(t.Context(), ref(name), partial.Release{Version: "1.0.0"})
		if tc.want == "P051" && what == "manifest" {
			_, err = open(t, opts).Part(t.Context(), ref(name), partial.Release{Digest: digest})
		}
		if err == nil || code(err) != tc.want {
			t.Errorf("%s: Part = %v; want %s", what, err, tc.want)
		}
	}
	change = nil
	if _, err := open(t, opts).Part(t.Context(), ref(name), partial.Release{Version: "1.0.0", Digest: digest}); err != nil {
		t.Errorf("Part after all that = %v", err)
	}
}

func swap(path, where string, body []byte, from, to string) []byte {
	if !strings.Contains(path, where) {
		return body
	}
	return bytes.ReplaceAll(body, []byte(from), []byte(to))
}

// TestOffline is A22 and A23: what was fetched is used without the network, the rest is named.
func TestOffline(t *testing.T) {
	host, stop := inMemory(t, true, nil)
	sys, dir := system(t, "", host), t.TempDir()
	l := open(t, Options{Sys: sys, Store: dir})
	name := host + "/p/x"
	digest, err := l.Push(t.Context(), ref(name), newPart(t, "p/x", "1.0.0", "", script), PushOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Part(t.Context(), ref(name), partial.Release{Version: "1.0.0"}); err != nil {
		t.Fatal(err)
	}
	stop()
	for _, offline := range []bool{false, true} {
		warm := open(t, Options{Sys: sys, Store: dir, Offline: offline})
		p, err := warm.Part(t.Context(), ref(name), partial.Release{Version: "1.0.0", Digest: digest})
		if err != nil || p.Digest != digest || p.Files[0] != script {
			t.Errorf("A22, offline %v: Part = %v", offline, err)
		}
	}
	warm := open(t, Options{Sys: sys, Store: dir, Offline: true})
	if got := versions(t, warm, name); got != "1.0.0" {
		t.Errorf("Releases offline = %s", got)
	}
	if m, err := warm.Meta(t.Context(), ref(name), partial.Release{Version: "1.0.0"}); err != nil || m.Version != "1.0.0" {
		t.Errorf("Meta offline = %v", err)
	}
	cold := open(t, Options{Sys: sys, Store: t.TempDir(), Offline: true})
	_, err = cold.Part(t.Context(), ref(name), partial.Release{Version: "1.0.0", Digest: digest})
	if code(err) != "P052" || !strings.Contains(err.Error(), "offline: missing "+name+" 1.0.0") {
		t.Errorf("A23: Part = %v; want P052", err)
	}
	if _, err := cold.Releases(t.Context(), ref(name)); code(err) != "P052" {
		t.Errorf("A23: Releases = %v; want P052", err)
	}
	var unreachable *NetworkError
	online := open(t, Options{Sys: sys, Store: t.TempDir()})
	if _, err := online.Releases(t.Context(), ref(name)); !errors.As(err, &unreachable) {
		t.Errorf("Releases of a registry that is down = %v; want a NetworkError", err)
	}
	all, err := warm.Stored()
	if err != nil || len(all) != 1 || all[0].Location != name || all[0].Version != "1.0.0" || all[0].Digest != digest || all[0].Size < 500 {
		t.Errorf("Stored = %+v, %v", all, err)
	}
	if removed, freed, err := warm.Prune(func(d string) bool { return d == digest }); err != nil || len(removed) != 0 || freed != 0 {
		t.Errorf("Prune of what is wanted = %v, %d, %v", removed, freed, err)
	}
	if _, err := open(t, Options{Sys: sys, Store: dir, Offline: true}).Part(t.Context(), ref(name), partial.Release{Digest: digest}); err != nil {
		t.Errorf("Part after that Prune = %v", err)
	}
	if removed, freed, err := warm.Prune(func(string) bool { return false }); err != nil || len(removed) != 1 || freed < 500 {
		t.Errorf("Prune = %v, %d, %v", removed, freed, err)
	}
	if _, err := open(t, Options{Sys: sys, Store: dir, Offline: true}).Part(t.Context(), ref(name), partial.Release{Digest: digest}); code(err) != "P052" {
		t.Errorf("Part after Prune = %v; want P052", err)
	}
}

// TestA26 is P060 and P061.
func TestA26(t *testing.T) {
	host, _ := inMemory(t, true, nil)
	name := host + "/p/x"
	digest, err := open(t, Options{Sys: system(t, "", host)}).Push(t.Context(), ref(name), newPart(t, "p/x", "1.0.0", ""), PushOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for what, tc := range map[string]struct {
		policy string
		allow  []string
		want   string
	}{
		"reject":             {policy: `{"default": [{"type": "reject"}]}`, want: "P061"},
		"key":                {policy: `{"default": [{"type": "insecureAcceptAnything"}], "transports": {"docker": {"` + host + `": [{"type": "sigstoreSigned", "keyData": "LS0tLS1CRUdJTiBQVUJMSUMgS0VZLS0tLS0KTUZrd0V3WUhLb1pJemowQ0FRWUlLb1pJemowREFRY0RRZ0FFVW5HbndCS2xKSGN2Zmd5TTh3VGk3QnpBTHBCQQpJUmUyWXVpM05RRklCbk5XaFFDblV0TjNOcFk4MVlHdVlvMk42WU5ZZDNPb2dRNVJpaFBlQXRwaGtRPT0KLS0tLS1FTkQgUFVCTElDIEtFWS0tLS0tCg=="}]}}}`, want: "P061"},
		"this one is exempt": {policy: `{"default": [{"type": "reject"}], "transports": {"docker": {"` + host + `": [{"type": "insecureAcceptAnything"}]}}}`},
		"allowed":            {allow: []string{"example.org", host + "/p"}},
		"not allowed":        {allow: []string{"example.org"}, want: "P060"},
		"half a component":   {allow: []string{host + "/p/xy", host + "/"[:0] + "x"}, want: "P060"},
		"nothing allowed":    {allow: []string{}, want: "P060"},
	} {
		for _, r := range []partial.Release{{Version: "1.0.0"}, {Digest: digest}} {
			l := open(t, Options{Sys: system(t, tc.policy, host), Allow: tc.allow, Store: t.TempDir()})
			if _, err := l.Part(t.Context(), ref(name), r); code(err) != tc.want {
				t.Errorf("%s: Part(%+v) = %v; want %q", what, r, err, tc.want)
			}
			if _, err := l.Meta(t.Context(), ref(name), r); code(err) != tc.want {
				t.Errorf("%s: Meta(%+v) = %v; want %q", what, r, err, tc.want)
			}
		}
	}
}

// TestPlainHTTP wants a registry that is not marked insecure to be left alone, even on the loopback.
func TestPlainHTTP(t *testing.T) {
	asked := false
	host, _ := inMemory(t, true, func(http.Handler) http.Handler {
		return http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true })
	})
	l := open(t, Options{Sys: system(t, "")})
	var unreachable *NetworkError
	if _, err := l.Releases(t.Context(), ref(host+"/p/x")); !errors.As(err, &unreachable) || asked {
		t.Errorf("Releases over plain http = %v, asked %v; want a NetworkError", err, asked)
	}
}

// TestA29 attaches records with and without the referrers API.
func TestA29(t *testing.T) {
	for name, start := range map[string]func(*testing.T) string{
		"referrers API":    func(t *testing.T) string { h, _ := inMemory(t, true, nil); return h },
		"tag fallback":     func(t *testing.T) string { h, _ := inMemory(t, false, nil); return h },
		"distribution 2.8": distribution,
	} {
		t.Run(name, func(t *testing.T) {
			host := start(t)
			l := open(t, Options{Sys: system(t, "", host)})
			ctx := t.Context()
			image := host + "/shop/web:7"
			// Any manifest is an image to this; a part is at hand.
			pk, err := newPart(t, "p/x", "1.0.0", "").Pack()
			if err != nil {
				t.Fatal(err)
			}
			loc, e, _, err := l.image(image)
			if err != nil {
				t.Fatal(err)
			}
			if err := e.publish(ctx, loc, "7", pk.Manifest, pk.Blobs); err != nil {
				t.Fatal(err)
			}
			if rs, err := l.Records(ctx, image); err != nil || len(rs) != 0 {
				t.Errorf("Records before = %v, %v", rs, err)
			}
			first := Record{Composed: []byte("FROM scratch\n"), Lock: []byte("{}"), Source: []byte("FROM x\n"), SourceName: "Containerfile", Layers: []byte("[]")}
			second := Record{Composed: []byte("FROM scratch\nLABEL a=b\n"), Annotations: map[string]string{"dev.partials.previous": "x"}}
			want := map[string]string{}
			for _, r := range []Record{first, second, first} {
				d, err := l.Attach(ctx, image, r)
				if err != nil || len(d) != 1 {
					t.Fatalf("Attach = %v, %v", d, err)
				}
				want[d[0]] = string(r.Composed)
			}
			for _, by := range []string{image, host + "/shop/web@" + pk.Digest} {
				rs, err := l.Records(ctx, by)
				if err != nil || len(rs) != 2 {
					t.Fatalf("Records(%s) = %+v, %v; want two", by, rs, err)
				}
				for _, r := range rs {
					if want[r.Digest] != string(r.Composed) {
						t.Errorf("record %s is %q; want %q", r.Digest, r.Composed, want[r.Digest])
					}
					if len(r.Layers) > 0 && (string(r.Layers) != "[]" || string(r.Source) != "FROM x\n" || r.SourceName != "Containerfile" || string(r.Lock) != "{}") {
						t.Errorf("record is %+v", r)
					}
				}
			}
			// An index has the record, and each image in it.
			index := []byte(`{"schemaVersion":2,"mediaType":"` + indexType + `","manifests":[{"mediaType":"` + manifestType + `","digest":"` + pk.Digest + `","size":` + strconv.Itoa(len(pk.Manifest)) + `,"platform":{"os":"linux","architecture":"amd64"}}]}`)
			if err := e.publish(ctx, loc, "multi", index, nil); err != nil {
				t.Fatal(err)
			}
			third := Record{Composed: []byte("FROM other\n")}
			if d, err := l.Attach(ctx, host+"/shop/web:multi", third); err != nil || len(d) != 2 {
				t.Errorf("Attach to an index = %v, %v; want two", d, err)
			}
			for by, n := range map[string]int{host + "/shop/web:multi": 1, image: 3} {
				if rs, err := l.Records(ctx, by); err != nil || len(rs) != n {
					t.Errorf("Records(%s) = %d, %v; want %d", by, len(rs), err, n)
				}
			}
			// A record of its own.
			d, err := l.PublishRecord(ctx, host+"/files/web:1", first)
			if err != nil {
				t.Fatal(err)
			}
			rs, err := l.Records(ctx, host+"/files/web:1")
			if err != nil || len(rs) != 1 || rs[0].Digest != d || !bytes.Equal(rs[0].Composed, first.Composed) {
				t.Errorf("Records of a record = %+v, %v", rs, err)
			}
			if _, err := l.Records(ctx, host+"/shop/none:1"); code(err) != "P022" {
				t.Errorf("Records of nothing = %v; want P022", err)
			}
		})
	}
}
