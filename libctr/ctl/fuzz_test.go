// SPDX-License-Identifier: Apache-2.0

package ctl

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

// FuzzRequest: whatever comes over a socket is refused, or has values that a monitor can act upon without looking again.
func FuzzRequest(f *testing.F) {
	for _, seed := range []string{
		`{"op":"start","owner":true}`, `{"op":"attach","stdin":true,"stdout":true,"stderr":true,"early":true}`,
		`{"op":"wait","next":true}`, `{"op":"signal","signal":15,"all":true}`, `{"op":"stop","timeoutMs":-1}`,
		`{"op":"resize","rows":24,"cols":80}`, `{"op":"rename","name":"web"}`, `{"op":"removed"}`,
		`{"op":"guard","name":"` + strings.Repeat("a", 64) + `"}`,
		`{"op":"exec","process":{"args":["true"],"env":["A=b"],"cwd":"/","capabilities":{}},"detach":true,"preserve":2}`,
		`{"op":"exec","preserve":-3}`, `{"op":"stop","timeoutMs":9223372036854775807}`, `{"op":"rename","name":"../x"}`, `{"op":"signal","signal":-1}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, packet []byte) {
		r, err := DecodeRequest(packet)
		if err != nil {
			if r != nil {
				t.Errorf("DecodeRequest(%q) = %+v beside the error %v", packet, r, err)
			}
			return
		}
		if r.Signal < 0 || r.Signal > MaxSignal || r.Preserve < 0 || r.Preserve > maxFiles {
			t.Errorf("DecodeRequest(%q) took %+v", packet, r)
		}
		if r.Op == "rename" && strings.ContainsAny(r.Name, "/\x00\n ") {
			t.Errorf("DecodeRequest(%q) took the name %q", packet, r.Name)
		}
		if r.Op == "exec" {
			p, err := r.Spec()
			if err != nil || len(p.Args) == 0 || strings.ContainsRune(strings.Join(p.Args, ""), 0) {
				t.Errorf("DecodeRequest(%q) took the process %+v, %v", packet, p, err)
			}
		}
	})
}

func TestRequestsAreCheckedAsAStrangers(t *testing.T) {
	for packet, want := range map[string]string{
		`{"op":"exec","preserve":-3,"process":{"args":["true"]}}`: "files to preserve",
		`{"op":"exec","preserve":65,"process":{"args":["true"]}}`: "files to preserve",
		`{"op":"exec"}`:                                       "no arguments",
		`{"op":"exec","process":null}`:                        "no arguments",
		`{"op":"exec","process":{"args":["a\u0000b"]}}`:       "zero byte",
		`{"op":"exec","process":{"args":["a"],"env":["=x"]}}`: "without a name",
		`{"op":"exec","process":{"args":["a"],"cwd":"here"}}`: "absolute",
		`{"op":"rename","name":"../../etc/x"}`:                "allowed",
		`{"op":"rename","name":""}`:                           "allowed",
		`{"op":"rename","name":"a\nb"}`:                       "allowed",
		`{"op":"signal","signal":65}`:                         "signals are numbered",
		`{"op":"signal"}`:                                     "signals are numbered",
		`{"op":"stop","signal":-9}`:                           "signals are numbered",
		`{"op":"stop","timeoutMs":9223372036854775807}`:       "too long",
		`{"op":"guard","name":"x"}`:                           "no container's ID",
		`{"op":"pause","process":{}}`:                         "takes no process",
		`{"op":"selfdestruct"}`:                               "no such request",
		`{"op":"pause","force":true}`:                         "unknown field",
		`{"op":"pause"}{"op":"pause"}`:                        "decode",
		`{"op":"resize","rows":70000}`:                        "decode",
		`{`:                                                   "decode",
	} {
		if r, err := DecodeRequest([]byte(packet)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("DecodeRequest(%s) = %+v, %v; want an error with %q", packet, r, err, want)
		}
	}
	for _, packet := range []string{`{"op":"stop"}`, `{"op":"stop","timeoutMs":-1000,"signal":64}`, `{"op":"rename","name":"a.b_c-1"}`,
		`{"op":"exec","process":{"args":["true"],"user":{"uid":1},"noNewPrivileges":true}}`} {
		if _, err := DecodeRequest([]byte(packet)); err != nil {
			t.Errorf("DecodeRequest(%s) = %v", packet, err)
		}
	}
}

func TestFieldsAreThoseOfRequest(t *testing.T) {
	var want []string
	for f := range reflect.TypeFor[Request]().Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		want = append(want, name)
	}
	if !slices.Equal(fields, want) {
		t.Errorf("fields = %q, and Request has %q", fields, want)
	}
}
