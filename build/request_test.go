// SPDX-License-Identifier: Apache-2.0

package build

import (
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/berth-containers/berth/build/partial"
	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/spf13/pflag"
)

// notInRequest are flags that only a command line has a use for.
const notInRequest = "progress quiet pull-always pull-never compress disable-content-trust load builder provenance attest no-cache-filter call check cw"

func TestARequestHasAFieldForEachFlag(t *testing.T) {
	var f Flags
	f.Bind(pflag.NewFlagSet("build", pflag.ContinueOnError))
	fields := map[string]bool{}
	for sf := range fieldsOf(reflect.TypeFor[Request]()) {
		name := sf.Tag.Get("flag")
		if name == "" {
			continue
		}
		fields[name] = true
		if f.set.Lookup(name) == nil {
			t.Errorf("Request.%s is for --%s, which build has not", sf.Name, name)
		}
	}
	f.set.VisitAll(func(flag *pflag.Flag) {
		if fields[flag.Name] == slices.Contains(strings.Fields(notInRequest), flag.Name) {
			t.Errorf("--%s: has to be either in Request or in notInRequest", flag.Name)
		}
	})
}

func fieldsOf(t reflect.Type) func(func(reflect.StructField) bool) {
	return func(yield func(reflect.StructField) bool) {
		for i := range t.NumField() {
			if !yield(t.Field(i)) {
				return
			}
		}
	}
}

// What a command line says and what a Request says give the same flags.
func TestRequestsAreCommandLines(t *testing.T) {
	for _, tc := range []struct {
		request Request
		line    string
	}{
		{Request{}, ""},
		{Request{Tags: []string{"a", "b"}, Target: "run"}, "-t a -t b --target run"},
		{Request{BuildArgs: []string{"A=1,2", "B"}}, "--build-arg A=1,2 --build-arg B"},
		{Request{Layers: new(false), HTTPProxy: new(false)}, "--layers=false --http-proxy=false"},
		{Request{NoCache: true, Pull: "always"}, "--no-cache --pull"},
		{Request{Timestamp: new(int64(0)), Jobs: new(0)}, "--timestamp 0 --jobs 0"},
		{Request{CPUQuota: -1, CPUShares: 7, Memory: "1g"}, "--cpu-quota -1 -c 7 -m 1g"},
		{Request{CapAdd: []string{"net_raw", "chown"}}, "--cap-add net_raw,chown"},
		{Request{Ulimits: []string{"nofile=1:2"}}, "--ulimit nofile=1:2"},
		{Request{Secrets: []string{"id=a,src=/b"}}, "--secret id=a,src=/b"},
		{Request{Outputs: []string{"type=oci,dest=/x"}}, "-o type=oci,dest=/x"},
		{Request{Push: true, Tags: []string{"localhost:5000/a"}}, "--push -t localhost:5000/a"},
		{Request{Platforms: []string{"linux/amd64", "linux/arm64"}}, "--platform linux/amd64,linux/arm64"},
		{Request{AddHosts: []string{"a=::1"}}, "--add-host a=::1"},
		{Request{Locked: new(true), Params: []string{"x.y=1"}}, "--locked --param x.y=1"},
	} {
		t.Run(tc.line, func(t *testing.T) {
			data, err := json.Marshal(tc.request) // as it is sent
			if err != nil {
				t.Fatal(err)
			}
			var sent Request
			if err := json.Unmarshal(data, &sent); err != nil {
				t.Fatal(err)
			}
			got, err := sent.flags()
			if err != nil {
				t.Fatal(err)
			}
			var want Flags
			want.Bind(pflag.NewFlagSet("build", pflag.ContinueOnError))
			if err := want.set.Parse(strings.Fields(tc.line)); err != nil {
				t.Fatal(err)
			}
			if err := want.Check(); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got.given(), want.given()) {
				t.Errorf("given:\n got %v\nwant %v", got.given(), want.given())
			}
			got.set, want.set = nil, nil
			if !reflect.DeepEqual(got, &want) {
				t.Errorf("flags:\n got %+v\nwant %+v", got, &want)
			}
		})
	}
}

// In a list, each entry is one, whatever it has in it.
func TestCommasInARequestPartNothing(t *testing.T) {
	r := Request{Files: []string{`a,b "c"`, "d"}}
	f, err := r.flags()
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(f.bud.File, r.Files) {
		t.Errorf("files: got %q, want %q", f.bud.File, r.Files)
	}
}

func TestRequestsThatAreWrong(t *testing.T) {
	for want, r := range map[string]Request{
		"squash and squash-all exclude each other": {Squash: true, SquashAll: true},
		"the type must be registry":                {CacheTo: []string{"type=local,dest=/x"}},
		"allow all":                                {Allow: []string{"all"}},
		"the image has no name":                    {Push: true},
	} {
		if _, err := r.flags(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// What callers ask errors for is there on the other side of the pipe.
func TestErrorsCrossThePipe(t *testing.T) {
	send := func(err error) error {
		t.Helper()
		data, merr := json.Marshal(encodeError(err))
		if merr != nil {
			t.Fatal(merr)
		}
		var w *wireError
		if err := json.Unmarshal(data, &w); err != nil {
			t.Fatal(err)
		}
		got := w.decode()
		if got == nil || got.Error() != err.Error() {
			t.Errorf("got %v, want %v", got, err)
		}
		return got
	}
	step := &StepError{File: "Containerfile", Line: 3, Instruction: "RUN false", Code: 9, Err: errors.New("exit code 9")}
	var gotStep *StepError
	if err := send(errors.Join(hint.Add(step, "look"), errors.New("and more"))); !errors.As(err, &gotStep) || gotStep.Code != 9 || gotStep.Line != 3 || gotStep.Error() != step.Error() {
		t.Errorf("the step: %+v", gotStep)
	}
	var advice *hint.Error
	if err := send(hint.Add(errors.New("x"), "do y")); !errors.As(err, &advice) || advice.Hint.String() != "do y" {
		t.Errorf("the hint: %+v", advice)
	}
	var compose *ComposeError
	if err := send(&ComposeError{partial.Errorf("P020", "no")}); !errors.As(err, &compose) || !errors.Is(err, &partial.Error{Code: "P020"}) || partial.ExitCode(err) != 2 {
		t.Errorf("the composition's error: %v", err)
	}
	var wrong *field.Error
	if err := send(field.Errorf("%s: no", field.Name("ulimit"))); !errors.As(err, &wrong) || wrong.Field != "ulimit" {
		t.Errorf("the field: %+v", wrong)
	}
	if encodeError(nil).decode() != nil {
		t.Error("no error became one")
	}
}
