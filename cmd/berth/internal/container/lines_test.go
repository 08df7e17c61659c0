// SPDX-License-Identifier: Apache-2.0

package container

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/cmd/berth/internal/cli/clitest"
	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/libctr/flags"
	"github.com/berth-containers/berth/libctr/logfile"
	"github.com/berth-containers/berth/libctr/spec"
	"github.com/spf13/cobra"
)

func ptr[T any](v T) *T { return &v }

func TestStopLines(t *testing.T) {
	clitest.Lines(t, newStop, map[string]clitest.Line[stopOptions]{
		"web":            {Args: "web"},
		"a b":            {Args: "a b"},
		"--time 2 web":   {Options: stopOptions{timeout: ptr(2 * time.Second)}, Args: "web"},
		"-t 0 web":       {Options: stopOptions{timeout: ptr(time.Duration(0))}, Args: "web"},
		"-a":             {Options: stopOptions{sel: selectFlags{all: true}}},
		"-l -i":          {Options: stopOptions{sel: selectFlags{latest: true, ignore: true}}},
		"-f a=b -f c=d":  {Options: stopOptions{sel: selectFlags{filters: []string{"a=b", "c=d"}}}},
		"--cidfile x":    {Options: stopOptions{sel: selectFlags{idFiles: []string{"x"}}}},
		"--time -1 web":  {Err: `invalid argument "-1" for "-t, --time" flag: not a number of seconds`},
		"--time 2s web":  {Err: `invalid argument "2s" for "-t, --time" flag: not a number of seconds`},
		"--nothing":      {Err: "unknown flag: --nothing"},
		"web --time=7":   {Options: stopOptions{timeout: ptr(7 * time.Second)}, Args: "web"},
		"-- --time":      {Args: "--time"},
		"-at3 --ignore":  {Options: stopOptions{sel: selectFlags{all: true, ignore: true}, timeout: ptr(3 * time.Second)}},
		"--all=false ab": {Args: "ab"},
	})
}

func TestRestartLines(t *testing.T) {
	clitest.Lines(t, newRestart, map[string]clitest.Line[restartOptions]{
		"web":       {Args: "web"},
		"--running": {Options: restartOptions{running: true}},
		"-a -t 1":   {Options: restartOptions{sel: selectFlags{all: true}, timeout: ptr(time.Second)}},
		"-l":        {Options: restartOptions{sel: selectFlags{latest: true}}},
		"-f a=b":    {Options: restartOptions{sel: selectFlags{filters: []string{"a=b"}}}},
	})
}

func TestInitLines(t *testing.T) {
	clitest.Lines(t, newInit, map[string]clitest.Line[initOptions]{
		"a b":     {Args: "a b"},
		"--all":   {Options: initOptions{sel: selectFlags{all: true}}},
		"-l":      {Options: initOptions{sel: selectFlags{latest: true}}},
		"--force": {Err: "unknown flag: --force"},
	})
}

func TestCloneLines(t *testing.T) {
	clitest.Lines(t, newClone, map[string]clitest.Line[cloneOptions]{
		"web":                     {Args: "web"},
		"web two":                 {Options: cloneOptions{clone: libctr.CloneOptions{Name: "two"}}, Args: "web"},
		"web two app":             {Options: cloneOptions{clone: libctr.CloneOptions{Name: "two", Image: "app"}}, Args: "web"},
		"--name two web":          {Options: cloneOptions{clone: libctr.CloneOptions{Name: "two"}}, Args: "web"},
		"--name two web one":      {Err: "--name two and the argument one are two names: give one"},
		"--run web":               {Options: cloneOptions{run: true}, Args: "web"},
		"-m 1k --cpus 2 web":      {Options: cloneOptions{clone: libctr.CloneOptions{Resources: spec.Resources{Memory: 1024, NanoCPUs: 2e9}}}, Args: "web"},
		"--destroy -f web":        {Options: cloneOptions{clone: libctr.CloneOptions{Destroy: true, Force: true}}, Args: "web"},
		"--force web":             {Err: "cannot set --force without --destroy"},
		"--pod p web":             {Err: "unknown flag: --pod"},
		"":                        {Err: "accepts between 1 and 3 arg(s), received 0"},
		"web two app and another": {Err: "accepts between 1 and 3 arg(s), received 5"},
	})
}

func TestRunlabelLines(t *testing.T) {
	self := []string{"berth"}
	clitest.Lines(t, newRunlabel, map[string]clitest.Line[runlabelOptions]{
		"run app":                              {Options: runlabelOptions{self: self}, Args: "run app"},
		"run app -a --display":                 {Options: runlabelOptions{self: self}, Args: "run app -a --display"},
		"-n web --replace -q run app":          {Options: runlabelOptions{self: self, name: "web", replace: true, quiet: true}, Args: "run app"},
		"--tls-verify=false --creds a run app": {Options: runlabelOptions{self: self, pull: []string{"--creds=a", "--tls-verify=false"}}, Args: "run app"},
		"--opt2 x --display run app":           {Options: runlabelOptions{self: self, display: true, opts: [3]string{1: "x"}}, Args: "run app"},
		"run":                                  {Err: "requires at least 2 arg(s), only received 1"},
	})
}

func TestCommandOfLabel(t *testing.T) {
	t.Setenv("SUDO_UID", "17")
	t.Setenv("HOME", "/home/me")
	t.Chdir("/")
	for text, want := range map[string]string{
		"podman run --name NAME -e IMAGE=IMAGE IMAGE": "own|run|--name|app|-e|IMAGE=r.example/team/app:1|r.example/team/app:1",
		"/usr/bin/docker run $IMAGE ${NAME}x":         "own|run|r.example/team/app:1|appx",
		"berth ps":                                    "own|ps",
		"/usr/bin/podman ps":                          "/usr/bin/podman|ps",
		`sh -c "echo a; b" 'x y'`:                     "sh|-c|echo a; b|x y",
		"echo $SUDO_UID $HOME $PWD a;b":               "echo|17||/|a;b",
		"echo $OPT1 $OPT2 -$OPT1-":                    "echo|one|two|-one two-",
		"echo --name=NAME NAMES":                      "echo|--name=app|NAMES",
		"":                                            "error",
		`sh "`:                                        "error",
	} {
		o := runlabelOptions{opts: [3]string{"one two"}}
		argv, own, err := o.command(text, "r.example/team/app:1", nil)
		if own {
			argv[0] = "own"
		}
		got := strings.Join(argv, "|")
		if err != nil {
			got = "error"
		}
		if got != want {
			t.Errorf("%s: got %s, want %s (%v)", text, got, want, err)
		}
	}
}

func TestMountLines(t *testing.T) {
	clitest.Lines(t, newMount, map[string]clitest.Line[mountOptions]{
		"":                           {},
		"a b":                        {Args: "a b"},
		"-a":                         {Options: mountOptions{sel: selectFlags{all: true}}},
		"-l":                         {Options: mountOptions{sel: selectFlags{latest: true}}},
		"--no-trunc":                 {Options: mountOptions{noTrunc: true}},
		"--format json --notruncate": {Options: mountOptions{format: "json", noTrunc: true}},
	})
	clitest.Lines(t, newUnmount, map[string]clitest.Line[unmountOptions]{
		"a b":   {Args: "a b"},
		"-af":   {Options: unmountOptions{sel: selectFlags{all: true}, force: true}},
		"-l":    {Options: unmountOptions{sel: selectFlags{latest: true}}},
		"--why": {Err: "unknown flag: --why"},
	})
}

func TestCleanupLines(t *testing.T) {
	clitest.Lines(t, newCleanupContainers, map[string]clitest.Line[cleanupOptions]{
		"a b":            {Args: "a b"},
		"-a --rm --rmi":  {Options: cleanupOptions{sel: selectFlags{all: true}, rm: true, rmi: true}},
		"-l":             {Options: cleanupOptions{sel: selectFlags{latest: true}}},
		"--exec x a":     {Options: cleanupOptions{exec: "x"}, Args: "a"},
		"--exec x a b":   {Err: "cannot use exec option when more than one container is given"},
		"--exec x --all": {Err: "exec and all options conflict"},
		"--exec x -l":    {Err: "exec and latest options conflict"},
	})
}

func TestKillLines(t *testing.T) {
	clitest.Lines(t, newKill, map[string]clitest.Line[killOptions]{
		"web":            {Options: killOptions{signal: syscall.SIGKILL}, Args: "web"},
		"-s HUP web":     {Options: killOptions{signal: syscall.SIGHUP}, Args: "web"},
		"--signal 15 -a": {Options: killOptions{signal: syscall.SIGTERM, sel: selectFlags{all: true}}},
		"-s none web":    {Err: `--signal: signal "none": no such signal`},
	})
}

func TestRmLines(t *testing.T) {
	forced := selectFlags{ignore: true}
	clitest.Lines(t, newRm, map[string]clitest.Line[rmOptions]{
		"web":            {Args: "web"},
		"-f web":         {Options: rmOptions{force: true, sel: forced}, Args: "web"},
		"-v web":         {Options: rmOptions{volumes: true}, Args: "web"},
		"-t 3 web":       {Options: rmOptions{force: true, sel: forced, timeout: ptr(3 * time.Second)}, Args: "web"},
		"-t -1 web":      {Options: rmOptions{force: true, sel: forced, timeout: ptr(time.Duration(0))}, Args: "web"},
		"--depend web":   {Options: rmOptions{depend: true}, Args: "web"},
		"-i web":         {Options: rmOptions{sel: selectFlags{ignore: true}}, Args: "web"},
		"-fa":            {Options: rmOptions{force: true, sel: selectFlags{all: true, ignore: true}}},
		"--filter a=b":   {Options: rmOptions{sel: selectFlags{filters: []string{"a=b"}}}},
		"--cidfile x -l": {Options: rmOptions{sel: selectFlags{idFiles: []string{"x"}, latest: true}}},
	})
}

func TestWaitLines(t *testing.T) {
	wait := func(interval time.Duration, any ...libctr.Condition) waitOptions {
		return waitOptions{WaitOptions: libctr.WaitOptions{Interval: interval, Any: any}}
	}
	clitest.Lines(t, newWait, map[string]clitest.Line[waitOptions]{
		"web":               {Options: wait(250 * time.Millisecond), Args: "web"},
		"-i 1s web":         {Options: wait(time.Second), Args: "web"},
		"--interval 1s web": {Options: wait(time.Second), Args: "web"},
		"--interval 20 web": {Options: wait(20 * time.Millisecond), Args: "web"},
		"--condition healthy --condition exited web": {Options: wait(250*time.Millisecond, libctr.WaitHealthy, libctr.WaitExited), Args: "web"},
		"--interval x web":                           {Err: `--interval "x": not a duration`},
		"--condition up web":                         {Err: `--condition "up": must be created, initialized, running, paused, stopping, exited, stopped, removing, healthy or unhealthy`},
	})
}

func TestPauseAndUnpauseLines(t *testing.T) {
	for _, construct := range []func(*cli.Global, cli.Run[*selectFlags]) *cobra.Command{newPause, newUnpause} {
		clitest.Lines(t, construct, map[string]clitest.Line[selectFlags]{
			"web":                {Args: "web"},
			"-a":                 {Options: selectFlags{all: true}},
			"-l":                 {Options: selectFlags{latest: true}},
			"-f a=b --cidfile x": {Options: selectFlags{filters: []string{"a=b"}, idFiles: []string{"x"}}},
		})
	}
}

func TestStartLines(t *testing.T) {
	clitest.Lines(t, newStart, map[string]clitest.Line[startOptions]{
		"a b":                   {Options: startOptions{sigProxy: true}, Args: "a b"},
		"--all":                 {Options: startOptions{sigProxy: true, sel: selectFlags{all: true}}},
		"-ai web":               {Options: startOptions{sigProxy: true, attach: true, interactive: true}, Args: "web"},
		"--sig-proxy=false web": {Options: startOptions{}, Args: "web"},
		"-l -a":                 {Options: startOptions{sigProxy: true, attach: true, sel: selectFlags{latest: true}}},
		"-f name=web":           {Options: startOptions{sigProxy: true, sel: selectFlags{filters: []string{"name=web"}}}},
		"--detach-keys a web":   {Options: startOptions{sigProxy: true, detachKeys: detachKeys{ptr("a")}}, Args: "web"},
		"--detach-keys= web":    {Options: startOptions{sigProxy: true, detachKeys: detachKeys{ptr("")}}, Args: "web"},
		"-a a b":                {Err: "start --attach takes one container: you cannot start and attach multiple containers at once"},
		"-i --all a":            {Err: "start --attach takes one container: you cannot start and attach multiple containers at once"},
		"-a":                    {Err: "start --attach takes one container: you cannot start and attach multiple containers at once"},
	})
}

func TestAttachLines(t *testing.T) {
	clitest.Lines(t, newAttach, map[string]clitest.Line[attachOptions]{
		"web":            {Options: attachOptions{sigProxy: true}, Args: "web"},
		"--no-stdin web": {Options: attachOptions{sigProxy: true, noStdin: true}, Args: "web"},
		"a b":            {Err: "attach requires the name or id of one running container or the latest flag"},
		"-l":             {Options: attachOptions{sigProxy: true, sel: selectFlags{latest: true}}},
	})
}

func TestRunLines(t *testing.T) {
	// What is said of the container itself is tested in libctr/flags.
	for words, want := range map[string]struct {
		runOptions
		args string
	}{
		"alpine":                       {runOptions{sigProxy: true}, "alpine"},
		"-d alpine true":               {runOptions{sigProxy: true, detach: true}, "alpine true"},
		"alpine ls -d":                 {runOptions{sigProxy: true}, "alpine ls -d"},
		"-a stdin -a stdout alpine":    {runOptions{sigProxy: true, attach: []string{"stdin", "stdout"}}, "alpine"},
		"--rmi alpine":                 {runOptions{sigProxy: true, rmi: true}, "alpine"},
		"--sig-proxy=false alpine":     {runOptions{}, "alpine"},
		"--detach-keys ctrl-x alpine":  {runOptions{sigProxy: true, detachKeys: detachKeys{ptr("ctrl-x")}}, "alpine"},
		"--rm -it --name web alpine x": {runOptions{sigProxy: true}, "alpine x"},
	} {
		clitest.Lines(t, func(g *cli.Global, run cli.Run[*runOptions]) *cobra.Command {
			return newRun(g, withoutCreate(t, run))
		}, map[string]clitest.Line[runOptions]{words: {Options: want.runOptions, Args: want.args}})
	}
}

// withoutCreate takes the flags of the container itself out.
func withoutCreate(t *testing.T, run cli.Run[*runOptions]) cli.Run[*runOptions] {
	return func(ctx context.Context, call cli.Call, o *runOptions) error {
		if o.create == nil {
			t.Error("run has no flags of create")
		}
		o.create = nil
		return run(ctx, call, o)
	}
}

func TestCreateLines(t *testing.T) {
	cmd := newCreate(&cli.Global{}, func(_ context.Context, call cli.Call, f *flags.Create) error {
		o, err := f.Options(call.Args)
		if err != nil || o.Name != "web" || o.Image != "nginx" || len(o.Args) != 1 || o.Args[0] != "-x" {
			t.Errorf("got %+v, %v", o, err)
		}
		return nil
	})
	cmd.SetArgs([]string{"--name", "web", "nginx", "-x"})
	if err := cmd.Execute(); err != nil {
		t.Error(err)
	}
}

func TestExecLines(t *testing.T) {
	clitest.Lines(t, newExec, map[string]clitest.Line[execOptions]{
		"web ls -l":                               {Args: "web ls -l"},
		"-it web sh":                              {Options: execOptions{interactive: true, tty: true}, Args: "web sh"},
		"-d --privileged web x":                   {Options: execOptions{detach: true, privileged: true}, Args: "web x"},
		"-e A=1 -e B --env-file f w x":            {Options: execOptions{env: []string{"A=1", "B"}, envFile: []string{"f"}}, Args: "w x"},
		"-u 1:2 -w /x web id":                     {Options: execOptions{user: "1:2", workdir: "/x"}, Args: "web id"},
		"--preserve-fds 2 web x":                  {Options: execOptions{preserved: preserveFlags{count: 2}}, Args: "web x"},
		"--detach-keys q web x":                   {Options: execOptions{detachKeys: detachKeys{ptr("q")}}, Args: "web x"},
		"web":                                     {Err: "exec: must provide a non-empty command to start an exec session: invalid argument"},
		"-l ls":                                   {Options: execOptions{sel: selectFlags{latest: true}}, Args: "ls"},
		"--cidfile x --no-session ls":             {Options: execOptions{sel: selectFlags{idFiles: []string{"x"}}}, Args: "ls"},
		"--preserve-fd 2 web ls":                  {Err: "exec: --preserve-fd 2: the descriptors that can be passed on begin with 3"},
		"--preserve-fd 3 --preserve-fds 1 web ls": {Err: "exec: cannot use --preserve-fds and --preserve-fd at the same time"},
		"-it web -d":                              {Options: execOptions{interactive: true, tty: true}, Args: "web -d"},
		"--preserve-fds -1 --tty web x":           {Err: `invalid argument "-1" for "--preserve-fds" flag: strconv.ParseUint: parsing "-1": invalid syntax`},
	})
}

func TestExecOptions(t *testing.T) {
	t.Setenv("FROM_CALLER", "here")
	file := filepath.Join(t.TempDir(), "env")
	if err := os.WriteFile(file, []byte("A=1\n# no\nFROM_CALLER\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	o := execOptions{env: []string{"B=2", "FROM_CALLER", "NOT_SET_ANYWHERE"}, envFile: []string{file}, tty: true, user: "u"}
	got, err := o.options([]string{"ls"})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"A=1", "FROM_CALLER=here", "B=2", "FROM_CALLER=here"}
	if !slices.Equal(got.Env, want) || !got.Terminal || got.User != "u" || len(got.Preserve) != 0 {
		t.Errorf("got %+v, want the environment %q", got, want)
	}
	o.envFile = []string{file + "-none"}
	if _, err := o.options(nil); err == nil {
		t.Error("a file that does not exist is no error")
	}
}

func TestPsLines(t *testing.T) {
	plain := psOptions{Query: libctr.Query{Order: "created"}, commandIndex: 1}
	with := func(change func(*psOptions)) psOptions {
		o := plain
		change(&o)
		return o
	}
	clitest.Lines(t, newPs, map[string]clitest.Line[psOptions]{
		"":               {Options: plain},
		"-a":             {Options: with(func(o *psOptions) { o.All = true })},
		"-l":             {Options: with(func(o *psOptions) { o.Latest = true })},
		"-n 3":           {Options: with(func(o *psOptions) { o.Last = 3 })},
		"--last 0":       {Options: plain},
		"-n -1":          {Options: plain},
		"-q --no-trunc":  {Options: with(func(o *psOptions) { o.quiet, o.noTrunc = true, true })},
		"-f a=b -f c":    {Options: with(func(o *psOptions) { o.Filters = []string{"a=b", "c"} })},
		"--sort names":   {Options: with(func(o *psOptions) { o.Order = "names" })},
		"--format json":  {Options: with(func(o *psOptions) { o.format = "json" })},
		"-s --noheading": {Options: with(func(o *psOptions) { o.size, o.noHeading = true, true })},
		"--ns -w 2":      {Options: with(func(o *psOptions) { o.namespace, o.watch = true, 2*time.Second })},
		"--sync":         {Options: plain},
		"web":            {Err: `unknown command "web" for "ps"`},
	})
}

func TestLogsLines(t *testing.T) {
	read := func(r logfile.ReadOptions) logsOptions { return logsOptions{read: r} }
	clitest.Lines(t, newLogs, map[string]clitest.Line[logsOptions]{
		"web":           {Args: "web"},
		"-f a b":        {Options: read(logfile.ReadOptions{Follow: true}), Args: "a b"},
		"--tail 5 web":  {Options: read(logfile.ReadOptions{Tail: 5}), Args: "web"},
		"--tail 0 web":  {Options: read(logfile.ReadOptions{Tail: -1}), Args: "web"},
		"--tail all w":  {Args: "w"},
		"--tail -1 w":   {Args: "w"},
		"-tn --color w": {Options: logsOptions{timestamps: true, names: true, color: true}, Args: "w"},
		"-l":            {Options: logsOptions{sel: selectFlags{latest: true}}},
		"--since 2026-11-21T12:00:00Z --until 100 w": {
			Options: read(logfile.ReadOptions{Since: time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC), Until: time.Unix(100, 0)}), Args: "w"},
		"--since never w": {Err: `--since: "never" is neither a duration (10m), seconds since 1970, nor a time (2026-11-21T12:00:00)`},
		"--tail x w":      {Err: `invalid argument "x" for "--tail" flag: "x" is not a number of lines, nor all`},
	})
}

func TestOtherLines(t *testing.T) {
	clitest.Lines(t, newInspect, map[string]clitest.Line[inspectOptions]{
		"web":                {Options: inspectOptions{format: "json", kind: "all", commandIndex: 1}, Args: "web"},
		"-t image -f {} x":   {Options: inspectOptions{format: "{}", kind: "image", commandIndex: 1}, Args: "x"},
		"-l":                 {Options: inspectOptions{format: "json", kind: "all", latest: true, commandIndex: 1}},
		"":                   {Err: "no names or ids specified"},
		"-l web":             {Err: "--latest and arguments cannot be used together"},
		"--type volume -s x": {Err: `--latest and --size are not supported for type "volume"`},
		"--type pot web":     {Err: `--type "pot": must be all, container, image or volume`},
	})
	clitest.Lines(t, newInspectContainers, map[string]clitest.Line[inspectOptions]{
		"web":   {Options: inspectOptions{format: "json", kind: "container", commandIndex: 1}, Args: "web"},
		"":      {Err: "no names or ids specified"},
		"-s -l": {Options: inspectOptions{format: "json", kind: "container", size: true, latest: true, commandIndex: 1}},
	})
	clitest.Lines(t, newPort, map[string]clitest.Line[portOptions]{
		"web 80/tcp": {Args: "web 80/tcp"},
		"-a":         {Options: portOptions{all: true}},
		"-l 80":      {Options: portOptions{latest: true}, Args: "80"},
		"a b c":      {Err: "accepts at most 2 arg(s), received 3"},
	})
	clitest.Lines(t, newTop, map[string]clitest.Line[topOptions]{
		"web -eo pid": {Args: "web -eo pid"},
		"-l pid,user": {Options: topOptions{latest: true}, Args: "pid,user"},
		"":            {Options: topOptions{global: []string{"berth"}}},
	})
	clitest.Lines(t, newPrune, map[string]clitest.Line[cli.PruneOptions]{
		"":                      {},
		"-f --filter until=24h": {Options: cli.PruneOptions{Force: true, Filters: []string{"until=24h"}}},
		"web":                   {Err: `unknown command "web" for "prune"`},
	})
	clitest.Lines(t, newCleanup, map[string]clitest.Line[monitorCleanup]{
		"ab":        {Args: "ab"},
		"--adopt d": {Options: monitorCleanup{adopt: "d"}},
	})
}

func TestStatsLines(t *testing.T) {
	every := func(change func(*statsOptions)) statsOptions {
		o := statsOptions{interval: 5 * time.Second}
		change(&o)
		return o
	}
	clitest.Lines(t, newStats, map[string]clitest.Line[statsOptions]{
		"":                            {Options: every(func(*statsOptions) {})},
		"a b":                         {Options: every(func(*statsOptions) {}), Args: "a b"},
		"--no-stream --no-reset -a":   {Options: every(func(o *statsOptions) { o.noStream, o.noReset, o.all = true, true, true })},
		"-l --no-trunc --format json": {Options: every(func(o *statsOptions) { o.latest, o.noTrunc, o.format = true, true, "json" })},
		"-i 2":                        {Options: statsOptions{interval: 2 * time.Second}},
		"-i 0":                        {Err: "--interval 0: must be at least 1 second"},
		"-a web":                      {Err: "--all, --latest and containers cannot be used together"},
		"-l web":                      {Err: "--all, --latest and containers cannot be used together"},
	})
}

func TestUpdateLines(t *testing.T) {
	with := func(change func(*libctr.UpdateOptions)) updateOptions {
		var o updateOptions
		change(&o.update)
		return o
	}
	clitest.Lines(t, newUpdate, map[string]clitest.Line[updateOptions]{
		"-m 64m --cpus 2 web": {Options: with(func(o *libctr.UpdateOptions) { o.Resources.Memory, o.Resources.NanoCPUs = 64<<20, 2e9 }), Args: "web"},
		"--pids-limit -1 web": {Options: with(func(o *libctr.UpdateOptions) { o.Resources.PidsLimit = ptr(int64(-1)) }), Args: "web"},
		"--restart always -e A=1 --unsetenv B --ulimit core=0 web": {Options: with(func(o *libctr.UpdateOptions) {
			o.Restart, o.Env, o.UnsetEnv, o.Ulimits = "always", []string{"A=1"}, []string{"B"}, []string{"core=0"}
		}), Args: "web"},
		"--health-cmd true --health-max-log-count 0 web": {Options: with(func(o *libctr.UpdateOptions) {
			o.Health.Cmd, o.Health.LogCount = ptr("true"), ptr(uint(0))
		}), Args: "web"},
		"-l --cpu-shares 7": {Options: updateOptions{latest: true, update: libctr.UpdateOptions{Resources: spec.Resources{CPUShares: 7}}}},
		"":                  {Err: "update: give a container's name or ID, or --latest"},
		"-m x web":          {Err: `--memory "x": not a size such as 512m`},
	})
}

func TestRevisionsLines(t *testing.T) {
	clitest.Lines(t, newRevisions, map[string]clitest.Line[revisionsOptions]{
		"web":                  {Args: "web"},
		"-q --format json web": {Options: revisionsOptions{quiet: true, format: "json"}, Args: "web"},
	})
}

func TestCheckpointLines(t *testing.T) {
	zstd := libctr.CheckpointOptions{Compression: "zstd"}
	clitest.Lines(t, newCheckpoint, map[string]clitest.Line[checkpointOptions]{
		"web":                                  {Options: checkpointOptions{to: zstd}, Args: "web"},
		"-a -k":                                {Options: checkpointOptions{sel: selectFlags{all: true}, to: libctr.CheckpointOptions{Compression: "zstd", Keep: true}}},
		"-e a -c GZIP -R --ignore-rootfs web":  {Options: checkpointOptions{export: "a", to: libctr.CheckpointOptions{Compression: "gzip", LeaveRunning: true, IgnoreRootFS: true}}, Args: "web"},
		"--create-image i --print-stats web":   {Options: checkpointOptions{createImage: "i", printStats: true, to: zstd}, Args: "web"},
		"-c gzip web":                          {Err: "--compress can only be used with --export"},
		"-c xz -e a web":                       {Err: `selected compression algorithm ("xz") not supported. Please select one from: gzip, none, zstd`},
		"--ignore-rootfs web":                  {Err: "--ignore-rootfs can only be used with --export"},
		"--ignore-volumes web":                 {Err: "--ignore-volumes can only be used with --export"},
		"-P --with-previous web":               {Err: "--with-previous can not be used with --pre-checkpoint"},
		"--export a --create-image i web":      {Err: "--create-image can not be used with --export"},
		"--create-image i --pre-checkpoint we": {Err: "--create-image can not be used with --pre-checkpoint"},
		"-e a web db":                          {Err: "--export and --create-image take one container"},
	})
}

func TestRestoreLines(t *testing.T) {
	clitest.Lines(t, newRestore, map[string]clitest.Line[restoreOptions]{
		"web":                              {Args: "web"},
		"-i a -n b -p 80,81":               {Options: restoreOptions{archive: "a", from: libctr.ImportOptions{Name: "b", Publish: []string{"80", "81"}}}},
		"-l -k --tcp-close":                {Options: restoreOptions{sel: selectFlags{latest: true}, from: libctr.ImportOptions{RestoreOptions: libctr.RestoreOptions{Keep: true, TCPClose: true}}}},
		"--pod p web":                      {Err: "--pod: there are no pods"},
		"-n b --tcp-established web":       {Err: "--tcp-established cannot be used with --name"},
		"--tcp-close --tcp-established we": {Err: "--tcp-close cannot be used with --tcp-established"},
		"-i a -l":                          {Err: "cannot use --import with --all or --latest"},
		"-i a web":                         {Err: "cannot use --import with positional arguments"},
		"-a web":                           {Err: "--all or --latest and containers cannot be used together"},
		"-n x web db":                      {Err: "--name can only be used with one checkpoint image"},
		"":                                 {Err: "you must provide at least one name or id"},
	})
}

// The words that stand for rare commands in the program that starts fast are theirs.
func TestRareWords(t *testing.T) {
	for i, cmd := range Rare(&cli.Global{}, nil) {
		if w := RareWords[i]; cmd.Use != w.Use || cmd.Short != w.Short {
			t.Errorf("%q, %q: RareWords has %q", cmd.Use, cmd.Short, w)
		}
	}
}

func TestSelectFlags(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "id")
	if err := os.WriteFile(file, []byte("abc\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := selectFlags{idFiles: []string{file}, all: true, filters: []string{"a=b"}}
	got, err := s.selection([]string{"web"}, nil)
	if err != nil || !slices.Equal(got.Names, []string{"web", "abc"}) || !got.All || !slices.Equal(got.Filters, s.filters) {
		t.Errorf("got %+v, %v", got, err)
	}
	s = selectFlags{idFiles: []string{file + "-none"}}
	if _, err := s.selection(nil, nil); err == nil {
		t.Error("a file that does not exist is no error")
	}
	s.ignore = true
	if got, err := s.selection(nil, nil); err != nil || len(got.Names) > 0 {
		t.Errorf("a file that does not exist, ignored: %+v, %v", got, err)
	}
}

func TestCpLines(t *testing.T) {
	clitest.Lines(t, newCp, map[string]clitest.Line[cpOptions]{
		"a b:/c":                       {Options: cpOptions{archive: true}, Args: "a b:/c"},
		"-a=false a b:/c":              {Options: cpOptions{}, Args: "a b:/c"},
		"-a --overwrite a b:/c":        {Options: cpOptions{archive: true, overwrite: true}, Args: "a b:/c"},
		"--pause=false --extract - b:": {Options: cpOptions{archive: true}, Args: "- b:"},
		"a":                            {Err: "accepts 2 arg(s), received 1"},
	})
}

func TestSplitEnd(t *testing.T) {
	for arg, want := range map[string][2]string{
		"web:/a": {"web", "/a"}, "web:a:b": {"web", "a:b"}, "./web:a": {"", "./web:a"}, "/a:b": {"", "/a:b"}, "-": {"", "-"}, "a": {"", "a"}, ":/a": {"", "/a"},
	} {
		name, end := splitEnd(arg)
		if got := [2]string{name, end.Path}; got != want {
			t.Errorf("splitEnd(%q) = %q, want %q", arg, got, want)
		}
	}
}

func TestDiffAndExportLines(t *testing.T) {
	of := func(kind diffKind) func(*cli.Global, cli.Run[*diffOptions]) *cobra.Command {
		return func(g *cli.Global, run cli.Run[*diffOptions]) *cobra.Command { return newDiff(g, kind, run) }
	}
	clitest.Lines(t, of(diffAny), map[string]clitest.Line[diffOptions]{
		"web":               {Options: diffOptions{of: diffAny}, Args: "web"},
		"--format json web": {Options: diffOptions{of: diffAny, format: "json"}, Args: "web"},
		"-l":                {Options: diffOptions{of: diffAny, latest: true}},
		"a b":               {Options: diffOptions{of: diffAny}, Args: "a b"},
		"a b c":             {Err: "accepts at most 2 arg(s), received 3"},
	})
	clitest.Lines(t, of(diffImages), map[string]clitest.Line[diffOptions]{
		"app": {Options: diffOptions{of: diffImages}, Args: "app"},
		"-l":  {Err: "unknown shorthand flag: 'l' in -l"},
	})
	clitest.Lines(t, newExport, map[string]clitest.Line[exportOptions]{
		"web":             {Args: "web"},
		"-o f web":        {Options: exportOptions{output: "f"}, Args: "web"},
		"web --output=/f": {Options: exportOptions{output: "/f"}, Args: "web"},
	})
}
