// SPDX-License-Identifier: Apache-2.0

package flags

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/libctr/image"
	"github.com/berth-containers/berth/libctr/spec"
	"github.com/spf13/pflag"
)

type opts = libctr.CreateOptions

// A command line says what it says, and nothing of what it leaves out.
func TestCreate(t *testing.T) {
	t.Setenv("HERE", "there")
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	envFile, labelFile, auth := file("env", "A=file\nB=file\n"), file("labels", "a=file\nb=file\n"), file("auth.json", "{}")
	five, minusOne := 5, int64(-1)

	for line, want := range map[string]func(*opts){
		"":                                    func(*opts) {},
		"--name web -h box":                   func(o *opts) { o.Name, o.Hostname = "web", "box" },
		"-u me -w /x --umask 77":              func(o *opts) { o.User, o.WorkingDir, o.Umask = "me", "/x", "77" },
		"--entrypoint=":                       func(o *opts) { o.Entrypoint = []string{} },
		`--entrypoint ["a","b"]`:              func(o *opts) { o.Entrypoint = []string{"a", "b"} },
		"--interactive --tty":                 func(o *opts) { o.Interactive, o.Terminal = true, true },
		"-it":                                 func(o *opts) { o.Interactive, o.Terminal = true, true },
		"--init":                              func(o *opts) { o.Init = new(true) },
		"--init=false --init-path /i":         func(o *opts) { o.Init, o.InitPath = new(false), "/i" },
		"--read-only=false":                   func(o *opts) { o.ReadOnly = new(false) },
		"--read-only --read-only-tmpfs=false": func(o *opts) { o.ReadOnly, o.ReadOnlyTmpfs = new(true), new(false) },
		"--privileged":                        func(o *opts) { o.Privileged = new(true) },
		"--privileged=false":                  func(o *opts) { o.Privileged = new(false) },
		"--env-host=false --http-proxy=true --unsetenv X --unsetenv-all": func(o *opts) {
			o.Env = libctr.EnvOptions{Host: new(false), HTTPProxy: new(true), Unset: []string{"X"}, UnsetAll: true}
		},
		"-e C=1 -e HERE -e NOT_HERE --env-file " + envFile: func(o *opts) { o.Env.Vars = []string{"A=file", "B=file", "C=1", "HERE=there"} },
		"-l b=flag -l c --label-file " + labelFile:         func(o *opts) { o.Labels = map[string]string{"a": "file", "b": "flag", "c": ""} },
		"--annotation x=y":                                func(o *opts) { o.Annotations = map[string]string{"x": "y"} },
		"--oom-score-adj 0":                               func(o *opts) { o.OOMScoreAdj = new(int) },
		"--ulimit host --ulimit core=0":                   func(o *opts) { o.Ulimits = []string{"host", "core=0"} },
		"--passwd=false --passwd-entry p --group-entry g": func(o *opts) { o.Entries = libctr.UserEntries{None: true, Passwd: "p", Group: "g"} },
		"-v a:/a --mount type=tmpfs,dst=/b --tmpfs /c": func(o *opts) {
			o.Volumes, o.Mounts, o.Tmpfs = []string{"a:/a"}, []string{"type=tmpfs,dst=/b"}, []string{"/c"}
		},
		"--volumes-from a:ro --volumes-from b":  func(o *opts) { o.VolumesFrom = []string{"a:ro", "b"} },
		"--replace --requires a,b --requires c": func(o *opts) { o.Replace, o.Requires = true, []string{"a", "b", "c"} },
		"--pidfile /p --conmon-pidfile /m --tz local --systemd always": func(o *opts) {
			o.PidFile, o.MonitorPidFile, o.Timezone, o.Systemd = "/p", "/m", "local", "always"
		},
		"--chrootdirs /a --chrootdirs /b --hosts-file none --no-hostname": func(o *opts) {
			o.ChrootDirs, o.HostsFile, o.NoHostname = []string{"/a", "/b"}, "none", new(true)
		},
		"--gpus 0,1 --device /dev/fuse":  func(o *opts) { o.Devices = []string{"/dev/fuse", "nvidia.com/gpu=0", "nvidia.com/gpu=1"} },
		"--secret a --secret b,type=env": func(o *opts) { o.Secrets = []string{"a", "b,type=env"} },
		"--hostuser a,b":                 func(o *opts) { o.HostUsers = []string{"a", "b"} },
		"--uidmap 0:1:5,5:0 --gidmap 0:2 --subuidname a --subgidname b": func(o *opts) {
			o.UIDMaps, o.GIDMaps, o.SubUIDName, o.SubGIDName = []string{"0:1:5", "5:0"}, []string{"0:2"}, "a", "b"
		},
		"--env-merge A=$A:b --seccomp-policy image": func(o *opts) { o.Env.Merge, o.SeccompPolicy = []string{"A=$A:b"}, "image" },
		"--retry-delay 2s --decryption-key k --disable-content-trust": func(o *opts) {
			o.Pull.RetryDelay, o.Pull.DecryptionKeys = 2*time.Second, []string{"k"}
		},
		"--image-volume anonymous":             func(o *opts) { o.ImageVolumes = "anonymous" },
		"--shm-size 1m":                        func(o *opts) { o.ShmSize = new(int64(1 << 20)) },
		"--storage memory:size=64m":            func(o *opts) { o.Storage = "memory:size=64m" },
		"--shm-size 0":                         func(o *opts) { o.ShmSize = new(int64) },
		"--device /dev/fuse":                   func(o *opts) { o.Devices = []string{"/dev/fuse"} },
		"--network none":                       func(o *opts) { o.Network = []string{"none"} },
		"--net host":                           func(o *opts) { o.Network = []string{"host"} },
		"--network=":                           func(o *opts) { o.Network = []string{"private"} },
		"--network a --network b:ip=192.0.2.1": func(o *opts) { o.Network = []string{"a", "b:ip=192.0.2.1"} },
		"--ip 192.0.2.1 --ip6 fd00::1 --mac-address 02:00:00:00:00:01 --network-alias x,y": func(o *opts) {
			o.IPs, o.MAC, o.Aliases = []string{"192.0.2.1", "fd00::1"}, "02:00:00:00:00:01", []string{"x", "y"}
		},
		"-p 80 -P --expose 81":                                 func(o *opts) { o.Publish, o.PublishAll, o.Expose = []string{"80"}, true, []string{"81"} },
		"--dns none --dns-search . --dns-option x --dns-opt y": func(o *opts) { o.DNS, o.DNSSearch, o.DNSOptions = []string{"none"}, []string{"."}, []string{"x", "y"} },
		"--add-host a:192.0.2.1 --no-hosts=false":              func(o *opts) { o.AddHosts, o.NoHosts = []string{"a:192.0.2.1"}, new(false) },
		"--pid private --ipc host --uts host --cgroupns private --userns keep-id": func(o *opts) {
			o.PID, o.IPC, o.UTS, o.CgroupNS, o.UserNS = "private", "host", "host", "private", "keep-id"
		},
		"--cap-add a --cap-drop b --security-opt c --sysctl d=e --group-add f": func(o *opts) {
			o.CapAdd, o.CapDrop, o.SecurityOpt, o.Sysctls, o.GroupAdd = []string{"a"}, []string{"b"}, []string{"c"}, []string{"d=e"}, []string{"f"}
		},
		"--memory-swappiness -1": func(*opts) {},
		"--memory-swappiness 0 --oom-kill-disable --cgroup-conf memory.high=5 --cpu-rt-period 7 --cpu-rt-runtime 8": func(o *opts) {
			r := &o.Resources
			r.Swappiness, r.NoOOMKill, r.Unified, r.RealtimePeriod, r.RealtimeRuntime = new(uint64), true, map[string]string{"memory.high": "5"}, 7, 8
		},
		"--blkio-weight 10 --blkio-weight-device /dev/a:20 --device-read-bps /dev/a:1mb --device-write-bps /dev/a:3 --device-read-iops /dev/a:4 --device-write-iops /dev/a:5": func(o *opts) {
			rate := func(n uint64) []spec.DeviceRate { return []spec.DeviceRate{{Path: "/dev/a", Rate: n}} }
			o.Resources.BlockIO = spec.BlockIO{Weight: 10, WeightDevice: rate(20), ReadBps: rate(1 << 20), WriteBps: rate(3), ReadIOPS: rate(4), WriteIOPS: rate(5)}
		},
		"--cgroups split --personality LINUX --rdt-class x": func(o *opts) { o.Cgroups, o.Personality, o.RdtClass = "split", "LINUX", "x" },
		"--cgroup-parent /p --device-cgroup-rule a":         func(o *opts) { o.CgroupParent, o.DeviceRules = "/p", []string{"a"} },
		"-m 64m --memory-swap -1 --memory-reservation 32m": func(o *opts) {
			o.Resources.Memory, o.Resources.MemorySwap, o.Resources.MemoryReservation = 64<<20, -1, 32<<20
		},
		"--cpus 1.5 -c 2 --cpuset-cpus 0 --cpuset-mems 1": func(o *opts) {
			o.Resources = spec.Resources{NanoCPUs: 15e8, CPUShares: 2, CpusetCpus: "0", CpusetMems: "1"}
		},
		"--cpu-period 5 --cpu-quota 6": func(o *opts) { o.Resources = spec.Resources{CPUPeriod: 5, CPUQuota: 6} },
		"--pids-limit 0":               func(o *opts) { o.Resources.PidsLimit = new(int64) },
		"--pids-limit=-1":              func(o *opts) { o.Resources.PidsLimit = &minusOne },
		"--rm":                         func(o *opts) { o.AutoRemove = true },
		"--restart always":             func(o *opts) { o.Restart = "always" },
		"--stop-signal INT --stop-timeout 0 --timeout 9": func(o *opts) { o.StopSignal, o.StopTimeout, o.Timeout = "INT", new(uint), 9 },
		"--log-driver none --log-opt tag=t":              func(o *opts) { o.LogDriver, o.LogOpts = "none", []string{"tag=t"} },
		"--health-cmd= --health-retries 5 --health-interval 1s --health-timeout 2s --health-start-period 3s --health-on-failure kill": func(o *opts) {
			o.Health = spec.HealthFlags{Cmd: new(string), Retries: &five, Interval: "1s", Timeout: "2s", StartPeriod: "3s", OnFailure: "kill"}
		},
		"--health-startup-cmd x --health-startup-interval 1s --health-startup-timeout 2s --health-startup-retries 3 --health-startup-success 4": func(o *opts) {
			o.Health = spec.HealthFlags{StartupCmd: new("x"), StartupInterval: "1s", StartupTimeout: "2s", StartupRetries: new(uint(3)), StartupSuccess: new(uint(4))}
		},
		"--health-log-destination /d --health-max-log-count 0 --health-max-log-size 9": func(o *opts) {
			o.Health = spec.HealthFlags{LogTo: new("/d"), LogCount: new(uint), LogSize: new(uint(9))}
		},
		"--no-healthcheck":  func(o *opts) { o.Health.None = true },
		"--rootfs":          func(o *opts) { o.Image, o.Rootfs = "", "image" },
		"--sdnotify conmon": func(o *opts) { o.SdNotify = "conmon" },
		"--cidfile /c":      func(o *opts) { o.IDFile = "/c" },
		"--pull always":     func(o *opts) { o.Pull.Policy = image.Always },
		"--pull missing":    func(o *opts) { o.Pull.Policy = image.Missing },
		"--platform linux/arm64 --retry 0": func(o *opts) {
			o.Pull.Platform, o.Pull.Retries = image.Platform{OS: "linux", Architecture: "arm64"}, new(uint)
		},
		"--os linux --arch arm --variant v7": func(o *opts) { o.Pull.Platform = image.Platform{OS: "linux", Architecture: "arm", Variant: "v7"} },
		"--tls-verify=false --creds a:b --cert-dir /d --authfile " + auth: func(o *opts) {
			o.Pull.RegistryOptions = image.RegistryOptions{TLSVerify: new(false), Creds: "a:b", CertDir: "/d", AuthFile: auth}
		},
	} {
		t.Run(line, func(t *testing.T) {
			o := opts{Image: "image", Args: []string{"cmd", "--rm"}, Labels: map[string]string{}, Annotations: map[string]string{}}
			want(&o)
			got, err := ParseCreate(append(strings.Fields(line), "image", "cmd", "--rm"))
			if err != nil {
				t.Fatal(err)
			}
			g, w := reflect.ValueOf(got), reflect.ValueOf(o)
			for i := range g.NumField() {
				if !g.Type().Field(i).IsExported() {
					continue // the engine's own
				}
				if g, w := g.Field(i).Interface(), w.Field(i).Interface(); !reflect.DeepEqual(g, w) {
					t.Errorf("%s: got %+v, want %+v", reflect.TypeFor[opts]().Field(i).Name, g, w)
				}
			}
		})
	}
}

// Every flag is in the table above, or is the command's own matter.
func TestEveryFlagIsTried(t *testing.T) {
	source, err := os.ReadFile("create_test.go")
	if err != nil {
		t.Fatal(err)
	}
	fs := pflag.NewFlagSet("", pflag.ContinueOnError)
	new(Create).Bind(fs)
	fs.VisitAll(func(f *pflag.Flag) {
		if f.Name == "help" || f.Name == "quiet" {
			return
		}
		short := "-" + f.Shorthand + " "
		if !strings.Contains(string(source), "--"+f.Name) && !strings.Contains(string(source), " "+short) && !strings.Contains(string(source), `"`+short) {
			t.Errorf("--%s is not tried", f.Name)
		}
	})
}

func TestCreateErrors(t *testing.T) {
	for line, want := range map[string]struct {
		field field.Name
		text  string // in the words of the command line
	}{
		"--memory none image":                     {"memory", `--memory "none": not a size such as 512m`},
		"--shm-size none image":                   {"shm-size", `--shm-size "none": not a size such as 512m`},
		"--cpus 0.001 image":                      {"cpus", `--cpus "0.001": not a number of CPUs such as 1.5, at least 0.01`},
		"--env =x image":                          {"env", `--env "=x": a variable's name is missing`},
		"--env-file /nowhere/x image":             {"env-file", "read --env-file: open /nowhere/x: no such file or directory"},
		"--label =x image":                        {"label", `--label "=x": a name is missing in front of the value`},
		"--label-file /nowhere/x image":           {"label-file", "read --label-file: open /nowhere/x: no such file or directory"},
		"--pull none image":                       {"pull", `unsupported pull policy "none": must be always, missing, never or newer`},
		"--platform linux/amd64 --os linux image": {"platform", "--platform excludes --os, --arch and --variant"},
		"--authfile /nowhere/x image":             {"authfile", "--authfile: stat /nowhere/x: no such file or directory"},
		"--no-such-flag image":                    {"", "unknown flag: --no-such-flag"},
		"--rm":                                    {"", "an image is missing"},
		"--health-retries x image":                {"", `invalid argument "x" for "--health-retries" flag: strconv.ParseInt: parsing "x": invalid syntax`},
	} {
		t.Run(line, func(t *testing.T) {
			_, err := ParseCreate(strings.Fields(line))
			if err == nil || field.Text(err, field.Flag) != want.text {
				t.Fatalf("got %v, want %s", err, want.text)
			}
			var wrong *field.Error
			if errors.As(err, &wrong) != (want.field != "") || wrong != nil && wrong.Field != want.field {
				t.Errorf("field %v, want %q", wrong, want.field)
			}
		})
	}
}
