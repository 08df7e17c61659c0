// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/libctr/record"
)

// check compares a parser's result; wantErr is a part of the error, empty for none.
func check(t *testing.T, in string, got, want any, err error, wantErr string) {
	t.Helper()
	switch {
	case wantErr != "":
		if err == nil || !strings.Contains(field.Text(err, field.Flag), wantErr) {
			t.Errorf("%q: error %v, want one with %q", in, err, wantErr)
		}
	case err != nil:
		t.Errorf("%q: %v", in, err)
	case !reflect.DeepEqual(got, want):
		t.Errorf("%q:\ngot  %+v\nwant %+v", in, got, want)
	}
}

func TestParseVolume(t *testing.T) {
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for in, tc := range map[string]struct {
		want Mount
		err  string
	}{
		"/data":                          {want: Mount{Type: "volume", Destination: "/data", Copy: true}},
		"vol:/data/":                     {want: Mount{Type: "volume", Name: "vol", Destination: "/data", Copy: true}},
		"vol:/data:ro,nocopy":            {want: Mount{Type: "volume", Name: "vol", Destination: "/data", ReadOnly: true}},
		"/src:/dst":                      {want: Mount{Type: "bind", Source: "/src", Destination: "/dst"}},
		"/a/../src:/b/../dst":            {want: Mount{Type: "bind", Source: "/src", Destination: "/dst"}},
		"./x:/dst:rw":                    {want: Mount{Type: "bind", Source: filepath.Join(wd, "x"), Destination: "/dst"}},
		"/s:/d:ro,Z,U,rslave":            {want: Mount{Type: "bind", Source: "/s", Destination: "/d", ReadOnly: true, Relabel: "Z", Chown: true, Options: []string{"rslave"}}},
		"/s:/d:noexec,nodev":             {want: Mount{Type: "bind", Source: "/s", Destination: "/d", Options: []string{"noexec", "nodev"}}},
		"/s:/d:cached":                   {want: Mount{Type: "bind", Source: "/s", Destination: "/d"}},
		"/s:/d:ro,ro":                    {want: Mount{Type: "bind", Source: "/s", Destination: "/d", ReadOnly: true}},
		"vol:/d:subpath=a/b,ro":          {want: Mount{Type: "volume", Name: "vol", Destination: "/d", Copy: true, ReadOnly: true, Subpath: "a/b"}},
		"vol:/d:subpath=..":              {err: "want a path in the source"},
		"vol:/d:subpath=a,subpath=b":     {err: "subpath is given twice"},
		"/s:/d:subpath=a":                {err: "option subpath is for volumes"},
		"/s:/proc/cpuinfo":               {want: Mount{Type: "bind", Source: "/s", Destination: "/proc/cpuinfo"}},
		"":                               {err: "destination is empty"},
		"data":                           {err: "not an absolute path"},
		":/d":                            {err: "source is empty"},
		"/s:":                            {err: "destination is empty"},
		"/s:/":                           {err: "must not be /"},
		"/s:/x/..":                       {err: "must not be /"},
		"/s:/proc":                       {err: "must not be in /proc"},
		"/s:/x/../proc/self/fd":          {err: "must not be in /proc"},
		"/s:/d:ro,rw":                    {err: "ro and rw exclude each other"},
		"/s:/d:z,Z":                      {err: "z and Z exclude each other"},
		"/s:/d:shared,rslave":            {err: "exclude each other"},
		"/s:/d:O":                        {want: Mount{Type: "bind", Source: "/s", Destination: "/d", Overlay: &Overlay{}}},
		"/s:/d:O,workdir=/w,upperdir=/u": {want: Mount{Type: "bind", Source: "/s", Destination: "/d", Overlay: &Overlay{"/u", "/w"}}},
		"/s:/d:O,upperdir=u,workdir=/w":  {err: "want an absolute path"},
		"/s:/d:O,upperdir=/u":            {err: "given together"},
		"/s:/d:idmap":                    {want: Mount{Type: "bind", Source: "/s", Destination: "/d", Options: []string{"idmap"}}},
		"/s:/d:rro":                      {want: Mount{Type: "bind", Source: "/s", Destination: "/d", ReadOnly: true, Options: []string{"rro"}}},
		"/s:/d:bogus":                    {err: `"bogus" is not known`},
		"/s:/d:":                         {err: "an option is empty"},
		"/s:/d:nocopy":                   {err: "for volumes"},
		"/a:/b:ro:x":                     {err: "want [SOURCE:]DESTINATION"},
		"a b:/d":                         {err: `volume name "a b"`},
		"-v:/d":                          {err: "volume name"},
		"/s:/d\nx":                       {err: "line break"},
	} {
		got, err := ParseVolume(in)
		check(t, in, got, tc.want, err, tc.err)
		if err != nil && !strings.Contains(field.Text(err, field.Flag), "--volume") {
			t.Errorf("%q: the error does not name the flag: %v", in, err)
		}
	}
}

func TestParseMount(t *testing.T) {
	for in, tc := range map[string]struct {
		want Mount
		err  string
	}{
		"type=bind,src=/s,dst=/d":                          {want: Mount{Type: "bind", Source: "/s", Destination: "/d"}},
		"source=/s,type=bind,target=/d,ro":                 {want: Mount{Type: "bind", Source: "/s", Destination: "/d", ReadOnly: true}},
		"type=bind,src=/s,destination=/d,readonly=false":   {want: Mount{Type: "bind", Source: "/s", Destination: "/d"}},
		"type=bind,src=/s,dst=/d,rw=false":                 {want: Mount{Type: "bind", Source: "/s", Destination: "/d", ReadOnly: true}},
		"type=bind,src=/s,dst=/d,bind-propagation=rshared": {want: Mount{Type: "bind", Source: "/s", Destination: "/d", Options: []string{"rshared"}}},
		"type=bind,src=/s,dst=/d,relabel=private,U=true":   {want: Mount{Type: "bind", Source: "/s", Destination: "/d", Relabel: "Z", Chown: true}},
		"type=bind,src=/s,dst=/d,bind-nonrecursive,nosuid": {want: Mount{Type: "bind", Source: "/s", Destination: "/d", Options: []string{"bind", "nosuid"}}},
		`type=bind,"src=/a,b",dst=/d`:                      {want: Mount{Type: "bind", Source: "/a,b", Destination: "/d"}},
		"src=data,dst=/d":                                  {want: Mount{Type: "volume", Name: "data", Destination: "/d", Copy: true}},
		"type=volume,dst=/d,volume-nocopy":                 {want: Mount{Type: "volume", Destination: "/d"}},
		"type=tmpfs,dst=/d,tmpfs-size=10m,tmpfs-mode=1777": {want: Mount{Type: "tmpfs", Destination: "/d", Options: []string{"size=10m", "mode=1777"}}},
		"type=tmpfs,dst=/d,notmpcopyup,noexec=false":       {want: Mount{Type: "tmpfs", Destination: "/d", Options: []string{"notmpcopyup", "exec"}}},
		"type=image,src=x,dst=/d":                          {want: Mount{Type: "image", Name: "x", Destination: "/d", ReadOnly: true}},
		"type=image,src=x:y,dst=/d,rw,subpath=/a":          {want: Mount{Type: "image", Name: "x:y", Destination: "/d", Subpath: "/a"}},
		"type=glob,src=/a*,dst=/d":                         {want: Mount{Type: "glob", Source: "/a*", Destination: "/d"}},
		"type=devpts,dst=/d,mode=600,uid=1":                {want: Mount{Type: "devpts", Destination: "/d", Options: []string{"mode=600", "uid=1"}}},
		"type=devpts,dst=/d,ro":                            {err: "not for type devpts"},
		"type=ramfs,dst=/d,mode=700":                       {want: Mount{Type: "ramfs", Destination: "/d", Options: []string{"mode=700"}}},
		"type=artifact,src=x,dst=/d":                       {err: "type artifact is not supported"},
		"type=volume,src=a,dst=/d,subpath=..":              {err: "want a path in the source"},
		"type=x,dst=/d":                                    {err: `type "x"`},
		"type=bind,type=bind,src=/s,dst=/d":                {err: "type is given twice"},
		"type=bind,dst=":                                   {err: "must be a path on the host"},
		"type=bind,src=/s":                                 {err: "dst= is missing"},
		"type=tmpfs,src=/s,dst=/d":                         {err: "not for type tmpfs"},
		"type=bind,src=/s,dst=/d,tmpfs-size=1":             {err: "not for type bind"},
		"type=bind,src=/s,dst=/d,ro,rw":                    {err: "only one can be given"},
		"type=bind,src=/s,dst=/d,dst=/e":                   {err: "only one can be given"},
		"type=bind,src=/s,dst=/d,ro=perhaps":               {err: "want true or false"},
		"type=bind,src=/s,dst=/d,idmap=uids=0-1-10":        {want: Mount{Type: "bind", Source: "/s", Destination: "/d", Options: []string{"idmap=uids=0-1-10"}}},
		"type=volume,src=a,dst=/d,subpath=x":               {want: Mount{Type: "volume", Name: "a", Destination: "/d", Subpath: "x", Copy: true}},
		"type=bind,src=/a,dst=/d,subpath=x":                {err: "not for type bind"},
		"type=volume,src=/abs,dst=/d":                      {err: "volume name"},
		"type=tmpfs,dst=/d,tmpfs-size=big":                 {err: `bad value "big"`},
		"type=tmpfs,dst=/d,tmpfs-mode=8":                   {err: `bad value "8"`},
		"type=tmpfs,dst=/proc/x":                           {err: "must not be in /proc"},
		"":                                                 {err: "want KEY=VALUE"},
	} {
		got, err := ParseMount(in)
		check(t, in, got, tc.want, err, tc.err)
	}
}

func TestParseTmpfs(t *testing.T) {
	for in, tc := range map[string]struct {
		want Mount
		err  string
	}{
		"/t":                       {want: Mount{Type: "tmpfs", Destination: "/t"}},
		"/t:ro,size=50%,mode=0700": {want: Mount{Type: "tmpfs", Destination: "/t", ReadOnly: true, Options: []string{"size=50%", "mode=0700"}}},
		"/t:uid=1,gid=2,exec":      {want: Mount{Type: "tmpfs", Destination: "/t", Options: []string{"uid=1", "gid=2", "exec"}}},
		"t":                        {err: "not an absolute path"},
		"/t:":                      {err: "an option is empty"},
		"/t:size=-1":               {err: "bad value"},
		"/t:lowerdir=/etc":         {err: "not known"},
		"/t:copy":                  {err: "not known"},
		"/t:exec,noexec":           {err: "exclude each other"},
		"/t:size=1,size=2":         {err: "exclude each other"},
	} {
		got, err := ParseTmpfs(in)
		check(t, in, got, tc.want, err, tc.err)
	}
}

func TestMounts(t *testing.T) {
	list, err := Mounts(MountOptions{Volumes: []string{"b:/a/b", "/x:/a"}, Tmpfs: []string{"/run"}, ImageVolumes: []string{"/a", "/img"}, ReadOnlyTmpfs: true,
		ConfVolumes: []string{"conf:/a", "conf:/conf"}, ConfMounts: []string{"type=tmpfs,dst=/run", "type=tmpfs,dst=/a/b"}})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, m := range list {
		got = append(got, m.Type+" "+m.Destination)
	}
	want := []string{"bind /a", "volume /a/b", "volume /conf", "volume /img", "tmpfs /run", "tmpfs /tmp", "tmpfs /var/tmp"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	for name, o := range map[string]MountOptions{
		"duplicate mount destination": {Volumes: []string{"/x:/a"}, Tmpfs: []string{"/a/"}},
		"volume \"/\" of the image":   {ImageVolumes: []string{"/"}},
		"--image-volume":              {ImagePolicy: "x"},
	} {
		if _, err := Mounts(o); err == nil || !strings.Contains(field.Text(err, field.Flag), name) {
			t.Errorf("error %v, want one with %q", err, name)
		}
	}
}

func TestParseEnv(t *testing.T) {
	host := []string{"HOME=/me", "FOO_A=1", "FOO_B=2", "X=y=z"}
	for in, tc := range map[string]struct {
		want []string
		err  string
	}{
		"A=b":       {want: []string{"A=b"}},
		"A=":        {want: []string{"A="}},
		"A=b=c\nd":  {want: []string{"A=b=c\nd"}}, // a value of several lines is one value
		"X":         {want: []string{"X=y=z"}},
		"MISSING":   {},
		"FOO_*":     {want: []string{"FOO_A=1", "FOO_B=2"}},
		"*":         {want: host},
		"=b":        {err: "name is missing"},
		"":          {err: "name is missing"},
		"A=\x00B=c": {err: "NUL"},
	} {
		got, err := ParseEnv([]string{in}, host)
		check(t, in, got, tc.want, err, tc.err)
	}
}

func TestReadEnvFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "env")
	for in, tc := range map[string]struct {
		want []string
		err  string
	}{
		"A=b\n\n# no\n  B = c \nHOME\nNONE\n": {err: `variable "B " contains blanks`},
		"A=b\n\n#no\n  B=c d \nHOME\nNONE":    {want: []string{"A=b", "B=c d ", "HOME=/me"}},
		"A=\"quoted\"\r\n":                    {want: []string{"A=\"quoted\""}},
		"\uFEFFA=b":                           {want: []string{"A=b"}},
		"=x":                                  {err: "line 1: a variable's name is missing"},
		"A=\xff":                              {err: "not valid UTF-8"},
		"A=" + strings.Repeat("x", 2<<20):     {err: "too long"},
	} {
		if err := os.WriteFile(path, []byte(in), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := ReadEnvFile(path, []string{"HOME=/me"})
		check(t, in[:min(len(in), 20)], got, tc.want, err, tc.err)
	}
	if _, err := ReadEnvFile("/nowhere/env", nil); !errors.Is(err, os.ErrNotExist) || !strings.Contains(field.Text(err, field.Flag), "--env-file") {
		t.Errorf("a missing file: %v", err)
	}
	if _, err := ReadEnvFile(t.TempDir(), nil); err == nil {
		t.Error("a directory is read as if it were a file")
	}
}

func TestEnvironment(t *testing.T) {
	got := Environment(EnvOptions{Defaults: []string{"D=1"}, Image: []string{"PATH=/img", "A=img", "U=1"}, Host: []string{"A=host", "H=host"},
		Files: []string{"A=file"}, Flags: []string{"A=flag"}, Unset: []string{"U"}, Terminal: true, Hostname: "box", Home: "/h"})
	want := []string{"A=flag", "D=1", "H=host", "HOME=/h", "HOSTNAME=box", "PATH=/img", "TERM=xterm", "container=podman"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
	if got := Environment(EnvOptions{UnsetAll: true, Image: []string{"A=b"}, Flags: []string{"B=c"}}); !slices.Equal(got, []string{"B=c"}) {
		t.Errorf("--unsetenv-all leaves %q", got)
	}
}

func TestLabels(t *testing.T) {
	got, err := ParseLabels("label", []string{"a=b=c", "d", "e="})
	check(t, "labels", got, map[string]string{"a": "b=c", "d": "", "e": ""}, err, "")
	_, err = ParseLabels("label", []string{"=x"})
	check(t, "=x", nil, nil, err, "name is missing")
	path := filepath.Join(t.TempDir(), "labels")
	if err := os.WriteFile(path, []byte("# c\na=b\n c\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err = ReadLabelFile(path)
	check(t, path, got, map[string]string{"a": "b", "c": ""}, err, "")
}

func TestCommand(t *testing.T) {
	img := Image{Entrypoint: []string{"/ep", "x"}, Cmd: []string{"cmd"}}
	for name, tc := range map[string]struct {
		img              Image
		entrypoint, args []string
		want             []string
		err              string
	}{
		"image":                 {img: img, want: []string{"/ep", "x", "cmd"}},
		"arguments":             {img: img, args: []string{"a"}, want: []string{"/ep", "x", "a"}},
		"entrypoint drops cmd":  {img: img, entrypoint: []string{"/e"}, want: []string{"/e"}},
		"entrypoint, arguments": {img: img, entrypoint: []string{"/e"}, args: []string{"a"}, want: []string{"/e", "a"}},
		"cleared":               {img: img, entrypoint: []string{}, args: []string{"a"}, want: []string{"a"}},
		"cleared, nothing left": {img: img, entrypoint: []string{}, err: "no command or entrypoint"},
		"nothing":               {err: "no command or entrypoint"},
		"empty word":            {args: []string{""}, err: "empty string"},
	} {
		entry, cmd, err := Command(tc.img, tc.entrypoint, tc.args)
		check(t, name, append(append([]string{}, entry...), cmd...), tc.want, err, tc.err)
	}
	for in, want := range map[string][]string{"": {}, "/bin/sh": {"/bin/sh"}, "sh -c": {"sh -c"}, `["sh","-c"]`: {"sh", "-c"}, "[x": {"[x"}, "[]": {}} {
		if got := ParseEntrypoint(in); !reflect.DeepEqual(got, want) {
			t.Errorf("ParseEntrypoint(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestParseUlimits(t *testing.T) {
	h := Host{Rlimits: []record.Ulimit{{Name: "RLIMIT_CORE", Soft: 0, Hard: -1}}}
	for in, tc := range map[string]struct {
		want []record.Ulimit
		err  string
	}{
		"nofile=1024":                 {want: []record.Ulimit{{Name: "RLIMIT_NOFILE", Soft: 1024, Hard: 1024}}},
		"nofile=1024:-1":              {want: []record.Ulimit{{Name: "RLIMIT_NOFILE", Soft: 1024, Hard: -1}}},
		"RLIMIT_CORE=-1":              {want: []record.Ulimit{{Name: "RLIMIT_CORE", Soft: -1, Hard: -1}}},
		"host":                        {want: h.Rlimits},
		"nofile":                      {err: "want NAME=SOFT"},
		"bogus=1":                     {err: `"bogus" is not a limit's name`},
		"nofile=2:1":                  {err: "above the hard limit"},
		"nofile=-1:5":                 {err: "above the hard limit"},
		"nofile=x":                    {err: "not a number"},
		"nofile=-2":                   {err: "not a number"},
		"nofile=1:2:3":                {err: "not a number"},
		"nofile=99999999999999999999": {err: "not a number"},
	} {
		got, err := ParseUlimits([]string{in}, h)
		check(t, in, got, tc.want, err, tc.err)
	}
	got, err := ParseUlimits([]string{"core=1", "core=2"}, h)
	check(t, "twice", got, []record.Ulimit{{Name: "RLIMIT_CORE", Soft: 2, Hard: 2}}, err, "")
}

func TestSizes(t *testing.T) {
	for in, want := range map[string]int64{"0": 0, "512": 512, "1k": 1024, "64M": 64 << 20, "1.5g": 3 << 29, "2gb": 2 << 30, "10b": 10} {
		got, err := ParseSize("memory", in)
		check(t, in, got, want, err, "")
	}
	for _, in := range []string{"", "x", "-1", "1q", "1 m m"} {
		_, err := ParseSize("memory", in)
		check(t, in, nil, nil, err, "--memory")
	}
	for in, want := range map[string]int64{"0.5": 5e8, "2": 2e9, "0": 0, "1.999": 1999e6} {
		got, err := ParseCPUs(in)
		check(t, in, got, want, err, "")
	}
	for _, in := range []string{"", "-1", "NaN", "Inf", "0.001", "x"} {
		_, err := ParseCPUs(in)
		check(t, in, nil, nil, err, "--cpus")
	}
	for in, ok := range map[string]bool{"0": true, "0-3,7": true, "": false, "3-1": false, "a": false, "0,": false, "0-": false} {
		if _, err := ParseCPUSet("cpuset-cpus", in); (err == nil) != ok {
			t.Errorf("ParseCPUSet(%q): %v", in, err)
		}
	}
	for want, r := range map[string]Resources{
		"at least 6m": {Memory: 1 << 20}, "needs --memory": {MemorySwap: -1}, "is below --memory": {Memory: 64 << 20, MemorySwap: 1},
		"is above --memory": {Memory: 8 << 20, MemoryReservation: 9 << 20}, "--cpus excludes": {NanoCPUs: 1e9, CPUQuota: 5000},
		"--cpu-period": {CPUPeriod: 5}, "--cpu-quota": {CPUQuota: 5}, "--cpu-shares": {CPUShares: 1}, "--pids-limit": {PidsLimit: ptr(int64(-7))},
	} {
		check(t, want, nil, nil, r.Check(), want)
	}
	if r := (Resources{PidsLimit: ptr(int64(-1))}).oci(false, nil); r.Pids != nil {
		t.Error("--pids-limit -1 limits the processes")
	}
	if r := (Resources{Memory: 8 << 20}).oci(true, nil); r.Memory.Swap != nil || *r.Memory.Limit != 8<<20 {
		t.Error("swap is limited where the kernel cannot")
	}
	if (Resources{}).Limited() || (Resources{PidsLimit: ptr(int64(-1))}).Limited() || !(Resources{PidsLimit: ptr(int64(9))}).Limited() {
		t.Error("Limited is wrong")
	}
}

func TestParseCaps(t *testing.T) {
	got, err := ParseCaps("cap-add", []string{"net_admin", "CAP_SYS_ADMIN,chown", "All", "NET_ADMIN"})
	check(t, "caps", got, []string{"CAP_NET_ADMIN", "CAP_SYS_ADMIN", "CAP_CHOWN", "ALL"}, err, "")
	_, err = ParseCaps("cap-add", []string{"CAP_BOGUS"})
	check(t, "bogus", nil, nil, err, `--cap-add "CAP_BOGUS"`)
	all := []string{"CAP_A", "CAP_B", "CAP_C"}
	for name, tc := range map[string]struct {
		add, drop, want []string
		err             string
	}{
		"nothing":     {want: []string{"CAP_A"}},
		"add":         {add: []string{"CAP_B"}, want: []string{"CAP_A", "CAP_B"}},
		"drop":        {drop: []string{"CAP_A"}, want: nil},
		"drop all":    {add: []string{"CAP_C"}, drop: []string{"ALL"}, want: []string{"CAP_C"}},
		"add all":     {add: []string{"ALL"}, drop: []string{"CAP_B"}, want: []string{"CAP_A", "CAP_C"}},
		"both":        {add: []string{"CAP_B"}, drop: []string{"CAP_B"}, err: "exclude each other"},
		"both, all":   {add: []string{"ALL"}, drop: []string{"ALL"}, err: "exclude each other"},
		"all and one": {add: []string{"ALL", "CAP_B"}, want: all},
	} {
		got, err := mergeCaps([]string{"CAP_A"}, tc.add, tc.drop, all)
		check(t, name, got, tc.want, err, tc.err)
	}
}

func TestParseSecurity(t *testing.T) {
	got, err := ParseSecurity([]string{"no-new-privileges", "seccomp=unconfined", "apparmor:unconfined", "label=disable", "label=type:spc_t", "label:level:s0:c1,c2", "label=nested", "mask=/a:/b/", "unmask=/proc/*", "proc-opts=hidepid=2,ro"})
	check(t, "all", got, Security{NoNewPrivileges: true, Seccomp: "unconfined", AppArmor: "unconfined", Labels: []string{"disable", "type:spc_t", "level:s0:c1,c2"}, Nested: true, Mask: []string{"/a", "/b"}, Unmask: []string{"/proc/*"}, ProcOpts: []string{"hidepid=2", "ro"}}, err, "")
	for in, want := range map[string]bool{"no-new-privileges:true": true, "no-new-privileges=false": false} {
		got, err := ParseSecurity([]string{in})
		check(t, in, got.NoNewPrivileges, want, err, "")
	}
	for in, want := range map[string]string{"": "want NAME=VALUE", "seccomp": "want NAME=VALUE", "label=bogus:x": "want disable", "label=type": "want disable", "label=type:": "want disable", "mask=rel": "absolute", "mask=ALL": "absolute",
		"no-new-privileges=maybe": "true or false", "bogus=1": "not supported", "proc-opts=x": "not an option", "systempaths=x": "systempaths", "unmask=/[": "not a pattern"} {
		_, err := ParseSecurity([]string{in})
		check(t, in, nil, nil, err, want)
	}
	for _, in := range []string{"unmask=ALL", "unmask=all", "unmask=/a:All", "systempaths=unconfined"} {
		s, err := ParseSecurity([]string{in})
		check(t, in, s.unmasks("/proc/kcore"), true, err, "")
	}
	s := Security{Seccomp: "/nowhere"}
	check(t, "profile", nil, nil, s.ReadSeccomp(), "/nowhere")
	for in, want := range map[string]string{`{`: "decoding", `{"defaultAction":"SCMP_ACT_ALLOW","architectures":["a"],"archMap":[{}]}`: "archMap"} {
		_, err := Generate(Options{Args: []string{"x"}, Security: Security{Seccomp: "p", Profile: []byte(in)}})
		check(t, in, nil, nil, err, want)
	}
}

func TestHealth(t *testing.T) {
	cmd := func(s string) *string { return &s }
	img := &record.Healthcheck{Test: []string{"CMD", "x"}, Interval: time.Second}
	for name, tc := range map[string]struct {
		f    HealthFlags
		img  *record.Healthcheck
		want *record.Healthcheck
		err  string
	}{
		"none":           {},
		"image":          {img: img, want: &record.Healthcheck{Test: []string{"CMD", "x"}, Interval: time.Second, Timeout: 30 * time.Second, Retries: 3}},
		"image says no":  {img: &record.Healthcheck{Test: []string{"NONE"}}},
		"disabled":       {img: img, f: HealthFlags{None: true}},
		"cmd none":       {img: img, f: HealthFlags{Cmd: cmd("none")}},
		"shell":          {f: HealthFlags{Cmd: cmd("curl x || exit 1"), Interval: "5s", Timeout: "1s", StartPeriod: "2s", Retries: ptr(2), OnFailure: "kill"}, want: &record.Healthcheck{Test: []string{"CMD-SHELL", "curl x || exit 1"}, Interval: 5 * time.Second, Timeout: time.Second, StartPeriod: 2 * time.Second, Retries: 2, OnFailure: "kill"}},
		"json":           {f: HealthFlags{Cmd: cmd(`["a","b"]`), Interval: "disable"}, want: &record.Healthcheck{Test: []string{"CMD", "a", "b"}, Timeout: 30 * time.Second, Retries: 3}},
		"json with kind": {f: HealthFlags{Cmd: cmd(`["CMD-SHELL","b"]`)}, want: &record.Healthcheck{Test: []string{"CMD-SHELL", "b"}, Interval: 30 * time.Second, Timeout: 30 * time.Second, Retries: 3}},
		"bad json":       {f: HealthFlags{Cmd: cmd(`["a"`)}, err: "--health-cmd"},
		"empty json":     {f: HealthFlags{Cmd: cmd(`["CMD"]`)}, err: "a command is missing"},
		"empty":          {f: HealthFlags{Cmd: cmd(" ")}, err: "a command is missing"},
		"bad interval":   {img: img, f: HealthFlags{Interval: "soon"}, err: "--health-interval"},
		"negative":       {img: img, f: HealthFlags{Timeout: "-1s"}, err: "--health-timeout"},
		"bad retries":    {img: img, f: HealthFlags{Retries: ptr(0)}, err: "--health-retries"},
		"bad on-failure": {img: img, f: HealthFlags{OnFailure: "x"}, err: "--health-on-failure"},
		"no command":     {f: HealthFlags{Interval: "1s"}, err: "neither --health-cmd nor the image"},
		"contradiction":  {f: HealthFlags{None: true, Cmd: cmd("x")}, err: "exclude each other"},
	} {
		got, err := Health(tc.f, tc.img)
		check(t, name, got, tc.want, err, tc.err)
	}
}

func TestSmallParsers(t *testing.T) {
	for in, want := range map[string]int{"9": 9, "KILL": 9, "sigterm": 15, "SIGRTMIN": 34, "RTMIN+3": 37, "SIGRTMAX": 64, "RTMAX-1": 63, "64": 64} {
		got, err := ParseSignal(in)
		check(t, in, int(got), want, err, "")
	}
	for _, in := range []string{"", "0", "65", "-1", "BOGUS", "RTMIN+99", "RTMIN-1", "RTMIN+", "RTMINx"} {
		_, err := ParseSignal(in)
		check(t, in, nil, nil, err, "signal")
	}
	for in, want := range map[string]record.Restart{"": {Policy: "no"}, "no": {Policy: "no"}, "always": {Policy: "always"}, "on-failure": {Policy: "on-failure"}, "on-failure:5": {Policy: "on-failure", MaxRetries: 5}, "unless-stopped": {Policy: "unless-stopped"}} {
		got, err := ParseRestart(in)
		check(t, in, got, want, err, "")
	}
	for _, in := range []string{"x", "always:3", "on-failure:", "on-failure:-1", "on-failure:x"} {
		_, err := ParseRestart(in)
		check(t, in, nil, nil, err, "--restart")
	}
	l, err := ParseLog("json-file", []string{"path=/x/../y", "max-size=10m", "max-file=3", "tag=a b"})
	for _, none := range []string{"-1", "0"} {
		if n, err := ParseLog("", []string{"max-size=" + none}); err != nil || n.MaxSize != -1 {
			t.Errorf("max-size=%s: %+v, %v", none, n, err)
		}
	}
	check(t, "log", l, Log{Log: record.Log{Driver: "json-file", Path: "/y", MaxSize: 10 << 20, MaxFile: 3, Tag: "a b"}}, err, "")
	l, err = ParseLog("journald", []string{"tag={{.Name}}", "label=A=b=c", "label=B=", "labels=x,y", "env=E"})
	check(t, "journald", l, Log{Log: record.Log{Driver: "journald", Tag: "{{.Name}}"}, Labels: []string{"A=b=c", "B="}, LabelKeys: []string{"x", "y"}, EnvKeys: []string{"E"}}, err, "")
	for _, opt := range []string{"path=/x", "max-size=1m", "max-file=2", "label=A", "label=a=b", "label=MESSAGE=x", "colour=red"} {
		_, err := ParseLog("journald", []string{opt})
		check(t, opt, nil, nil, err, "--log-opt")
	}
	for driver, opts := range map[string][]string{"x": nil, "none": {"path=/x"}, "k8s-file": {"max-size=x"}, "json-file": {"max-file=0"}, "": {"labels=a"}, "passthrough": {"label=A=b"}} {
		_, err := ParseLog(driver, opts)
		check(t, driver, nil, nil, err, "--log-")
	}
	for in, ok := range map[string]bool{"box": true, "a.b-c.d": true, "": false, "-a": false, "a..b": false, "a\n127.0.0.1 evil": false, "a b": false, strings.Repeat("a", 65): false} {
		if err := CheckHostname(in); (err == nil) != ok {
			t.Errorf("CheckHostname(%q): %v", in, err)
		}
	}
	d, err := ParseDevice("/dev/fuse:/dev/f:rw")
	check(t, "device", d, Device{Host: "/dev/fuse", Path: "/dev/f", Access: "rw", Given: true}, err, "")
	for _, in := range []string{"", "fuse", "/a:/b:rw:x", "/a:/b:x", "/a:q", "vendor.com/x=all", "/a:/proc/x"} {
		_, err := ParseDevice(in)
		check(t, in, nil, nil, err, "--device")
	}
	n, err := ParseNamespace("pid", "container:web")
	check(t, "ns", n, Namespace{Container: "web"}, err, "")
	for _, in := range []string{"x", "container:", "ns:rel", "ns:"} {
		_, err := ParseNamespace("pid", in)
		check(t, in, nil, nil, err, "--pid")
	}
	s, err := ParseSysctls([]string{"net/core/somaxconn = 5", "kernel.shmmax=1"})
	check(t, "sysctl", s, map[string]string{"net.core.somaxconn": "5", "kernel.shmmax": "1"}, err, "")
	for _, in := range []string{"", "a", "a=", "=1", "net..x=1", "a=1\nb=2"} {
		_, err := ParseSysctls([]string{in})
		check(t, in, nil, nil, err, "--sysctl")
	}
}

func TestUserNS(t *testing.T) {
	for in, want := range map[string]UserNS{"": {Mode: "host"}, "host": {Mode: "host"}, "nomap": {Mode: "nomap"}, "keep-id": {Mode: "keep-id"}, "keep-id:uid=7,gid=8": {Mode: "keep-id", UID: ptr(uint32(7)), GID: ptr(uint32(8))}} {
		got, err := ParseUserNS(in)
		check(t, in, got, want, err, "")
	}
	for _, in := range []string{"auto:uid=1", "auto:size=x", "auto:uidmapping=1:2", "x", "host:x", "keep-id:", "keep-id:uid=-1", "keep-id:size=0", "ns:x", "ns:", "container:"} {
		_, err := ParseUserNS(in)
		check(t, in, nil, nil, err, "--userns")
	}
	// Every ID of the parent is used once, no ID of the container twice, and the caller is where it should be.
	for _, n := range []uint32{1, 2, 1000, 65537} {
		for _, id := range []uint32{0, 1, 999, 1000, 65536, 70000} {
			inside, parent := map[uint32]bool{}, map[uint32]bool{}
			for _, m := range keepID(id, n) {
				for i := range m.Size {
					if inside[m.ContainerID+i] || parent[m.HostID+i] {
						t.Fatalf("keepID(%d, %d): an ID is mapped twice", id, n)
					}
					inside[m.ContainerID+i], parent[m.HostID+i] = true, true
					if (m.HostID+i == 0) != (m.ContainerID+i == id) {
						t.Fatalf("keepID(%d, %d) does not map it to the caller", id, n)
					}
				}
			}
			if len(parent) != int(n) {
				t.Errorf("keepID(%d, %d) maps %d IDs", id, n, len(parent))
			}
		}
	}
	if uids, gids, err := (UserNS{Mode: "keep-id", UID: ptr(uint32(7))}).Mappings(rootHost()); err != nil || !Identity(uids) || !Identity(gids) {
		t.Errorf("keep-id of root maps %v and %v: %v; want every ID to itself", uids, gids, err)
	}
	if _, _, err := (UserNS{Mode: "nomap"}).Mappings(rootHost()); err == nil {
		t.Error("nomap is accepted for root")
	}
	// What files have to belong to on the host's side of the namespace, for it to be these IDs inside.
	for _, c := range []struct {
		mode             string
		uid, gid         uint32
		wantUID, wantGID uint32
		fails            bool
	}{
		{mode: "host", uid: 5, gid: 6, wantUID: 5, wantGID: 6},
		{mode: "keep-id", uid: 0, gid: 0, wantUID: 1, wantGID: 1},
		{mode: "keep-id", uid: userHost().OwnerUID, gid: userHost().OwnerGID},
		{mode: "keep-id", uid: userHost().OwnerUID - 1, gid: 65536, wantUID: userHost().OwnerUID, wantGID: 65536},
		{mode: "nomap", uid: 0, gid: 7, wantUID: 1, wantGID: 8},
		{mode: "keep-id", uid: 70000, fails: true},
	} {
		uid, gid, err := (UserNS{Mode: c.mode}).HostIDs(userHost(), c.uid, c.gid)
		if (err != nil) != c.fails || uid != c.wantUID || gid != c.wantGID {
			t.Errorf("%s: %d:%d is %d:%d outside, %v; want %d:%d", c.mode, c.uid, c.gid, uid, gid, err, c.wantUID, c.wantGID)
		}
	}
	single := userHost()
	single.UIDMap, single.GIDMap = []IDRange{{0, 1}}, []IDRange{{0, 1}}
	if _, _, err := (UserNS{Mode: "nomap"}).Mappings(single); err == nil {
		t.Error("nomap is accepted without subordinate IDs")
	}
}

func TestGenerateRefuses(t *testing.T) {
	ok := Options{Args: []string{"x"}, Host: userHost()}
	for want, change := range map[string]func(*Options){
		"no command or entrypoint":      func(o *Options) { o.Args = nil },
		"not an absolute path":          func(o *Options) { o.WorkingDir = "x" },
		"--hostname":                    func(o *Options) { o.Hostname = "a\nb" },
		"user 70000 does not exist":     func(o *Options) { o.User.UID = 70000 },
		"group 70000 does not exist":    func(o *Options) { o.User.Added = []uint32{70000} },
		"--umask":                       func(o *Options) { o.Umask = "9" },
		"--oom-score-adj":               func(o *Options) { o.OOMScoreAdj = ptr(2000) },
		"it is the host's":              func(o *Options) { o.Sysctls = map[string]string{"kernel.core_pattern": "x"} },
		"network namespace is the host": func(o *Options) { o.NetHost, o.Sysctls = true, map[string]string{"net.x": "1"} },
		"volume's directory":            func(o *Options) { o.Mounts = []Mount{{Type: "volume", Destination: "/x"}} },
		"needs a PID namespace":         func(o *Options) { o.Init, o.PID.Host = "/i", true },
		"NUL":                           func(o *Options) { o.Args = []string{"x\x00"} },
		"does not have it to give":      func(o *Options) { o.Host.Bounding, o.CapAdd = []string{"CAP_CHOWN"}, []string{"CAP_SYS_ADMIN"} },
		"both the host's and another's": func(o *Options) { o.NetHost, o.NetNSPath = true, "/x" },
		"duplicate mount destination": func(o *Options) {
			o.Mounts = []Mount{{Type: "tmpfs", Destination: "/x"}, {Type: "tmpfs", Destination: "/x"}}
		},
	} {
		o := ok
		change(&o)
		_, err := Generate(o)
		check(t, want, nil, nil, err, want)
	}
	o := Options{Args: []string{"x"}, Host: userHost(), NoCgroup: true, Resources: Resources{Memory: 8 << 20}, OOMScoreAdj: ptr(0), Ulimits: []record.Ulimit{{Name: "RLIMIT_NOFILE", Soft: 1, Hard: -1}}}
	if w := o.Warnings(); len(w) != 3 {
		t.Errorf("warnings: %q, want 3", w)
	}
}

// A user of one ID, without subordinate ones, may call no setgroups.
func TestGenerateWithoutSubordinateIDs(t *testing.T) {
	h := userHost()
	h.UIDMap, h.GIDMap, h.NoSetgroups = []IDRange{{0, 1}}, []IDRange{{0, 1}}, true
	s, err := Generate(Options{Args: []string{"x"}, Host: h, User: User{Groups: []uint32{1, 2, 3}}})
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Process.User.AdditionalGids) > 0 {
		t.Errorf("supplementary groups %v", s.Process.User.AdditionalGids)
	}
	for _, m := range s.Mounts {
		if m.Destination == "/dev/pts" && slices.Contains(m.Options, "gid=5") {
			t.Error("/dev/pts asks for a group that does not exist")
		}
	}
}
