// SPDX-License-Identifier: Apache-2.0

package libctr

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/libctr/record"
)

// day is when the first container of a test was made.
var day = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// recorded is an engine in a directory of its own, with the records of containers; nothing of them runs. Each has as its ID
// the digit of its place, 64 times, and was made an hour after the one before, unless its state says something else.
func recorded(t *testing.T, states ...record.State) *Engine {
	t.Helper()
	e := &Engine{opts: Options{EventsBackend: "none"}, data: t.TempDir(), runtime: t.TempDir(), log: slog.New(slog.DiscardHandler)}
	for i, s := range states {
		s.Version = 1
		s.ID = strings.Repeat(string("0123456789abcdef"[i]), 64)
		if s.Created.IsZero() {
			s.Created = day.Add(time.Duration(i) * time.Hour)
		}
		if s.Status == record.Running || s.Status == record.Paused { // the process is this test
			start, _ := procStart(os.Getpid())
			s.BootID, s.Pid, s.PidStart, s.Monitor = BootID(), os.Getpid(), start, os.Getpid()
		}
		dir := filepath.Join(e.data, "containers", s.ID)
		names := filepath.Join(e.data, "names")
		err := errors.Join(os.MkdirAll(dir, 0o700), os.MkdirAll(names, 0o700))
		err = errors.Join(err, s.Write(dir, false), os.Symlink(s.ID, filepath.Join(names, s.Name)))
		if err != nil {
			t.Fatal(err)
		}
	}
	return e
}

// fleet is containers in every state.
func fleet(t *testing.T) *Engine {
	return recorded(t,
		record.State{Name: "web", Status: record.Running, ImageName: "docker.io/library/nginx:latest", ImageID: "aa11", StartedAt: day.Add(9 * time.Hour),
			Labels: map[string]string{"tier": "front", "team": "a"}, Network: "pasta", Command: []string{"nginx"}, Health: &record.Health{Status: "healthy"}},
		record.State{Name: "db", Status: record.Paused, ImageName: "localhost/postgres:16", ImageID: "bb22", StartedAt: day.Add(8 * time.Hour),
			Labels: map[string]string{"tier": "back", "team": "a"}, Network: "none", Command: []string{"postgres"}},
		record.State{Name: "job", Status: record.Exited, ExitCode: 3, ImageName: "docker.io/library/alpine:latest", ImageID: "cc33", Command: []string{"false"}},
		record.State{Name: "new", Status: record.Created, ImageName: "docker.io/library/alpine:latest", ImageID: "cc33", Command: []string{"true"}},
		record.State{Name: "old", Status: record.Exited, ImageName: "docker.io/library/alpine:3", ImageID: "dd44", Command: []string{"true"}},
	)
}

func names(list []*Container) string {
	var all []string
	for _, c := range list {
		all = append(all, c.State.Name)
	}
	return strings.Join(all, " ")
}

func TestContainerFilter(t *testing.T) {
	e := fleet(t)
	ids := strings.Repeat("1", 12)
	for filters, want := range map[string]string{
		"":                                 "web db job new old",
		"id=" + ids:                        "db",
		"id=":                              "web db job new old",
		"name=^.e":                         "web new",
		"name=^web$ name=job":              "web job",
		"status=running":                   "web",
		"status=exited":                    "job old",
		"status=stopped status=paused":     "db job old",
		"exited=3":                         "job",
		"exited=0":                         "old",
		"health=healthy":                   "web",
		"health=none":                      "db job new old",
		"label=team=a":                     "web db",
		"label=team=a label=tier=back":     "db",
		"label!=team":                      "job new old",
		"label=team label!=tier=front":     "db",
		"ancestor=alpine":                  "job new old",
		"ancestor=cc3":                     "job new",
		"network=none":                     "db",
		"before=job":                       "web db",
		"since=job":                        "new old",
		"until=2026-11-21T13:30:00Z":       "web db",
		"status=exited name=old":           "old",
		"volume=data":                      "", // there is no configuration to look at
		"restart-policy=no status=created": "",
	} {
		match, err := e.ContainerFilter(t.Context(), strings.Fields(filters))
		if err != nil {
			t.Errorf("%s: %v", filters, err)
			continue
		}
		list, err := e.List(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got := names(slices.DeleteFunc(list, func(c *Container) bool { return !match(c) })); got != want {
			t.Errorf("%s: got %q, want %q", filters, got, want)
		}
	}
	for f, want := range map[string]string{
		"name":         `--filter "name": write KEY=VALUE`,
		"colour=red":   `--filter "colour=red": unknown key "colour"`,
		"status=up":    `--filter "status=up": status is created, initialized, running, paused, stopping, exited or stopped`,
		"exited=x":     `--filter "exited=x": exited is an exit code`,
		"health=fine":  `--filter "health=fine": health is starting, healthy, unhealthy or none`,
		"name=[":       `--filter "name=[": error parsing regexp: missing closing ]: ` + "`[`",
		"before=nope":  `--filter "before=nope": no container with name or ID "nope" found: no such container`,
		"until=sooner": `--filter "until=sooner": "sooner" is neither a duration (10m), seconds since 1970, nor a time (2026-11-21T12:00:00)`,
	} {
		_, err := e.ContainerFilter(t.Context(), []string{f})
		var wrong *FieldError
		if !errors.As(err, &wrong) || wrong.Field != "filter" || field.Text(err, field.Flag) != want {
			t.Errorf("%s: got %v, want %s", f, err, want)
		}
		if errors.Is(err, ErrNoSuchContainer) {
			t.Errorf("%s: the error is taken for one about the operation's container", f)
		}
	}
}

func TestFiltersOfMountsAndRestartPolicy(t *testing.T) {
	e := recorded(t, record.State{Name: "web", Status: record.Created}, record.State{Name: "job", Status: record.Created})
	list, err := e.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i, cfg := range []record.Config{
		{Supervised: record.Supervised{Version: 1, Restart: record.Restart{Policy: "always"}}, Mounts: []record.Mount{{Name: "data", Source: "/s", Destination: "/d"}}},
		{Supervised: record.Supervised{Version: 1}},
	} {
		if err := cfg.Write(list[i].Dir, false); err != nil {
			t.Fatal(err)
		}
	}
	for f, want := range map[string]string{
		"volume=data": "web", "volume=/s": "web", "volume=/d": "web", "volume=data:/d": "web", "volume=data:/e": "", "volume=x": "",
		"restart-policy=always": "web", "restart-policy=no": "job",
	} {
		match, err := e.ContainerFilter(t.Context(), []string{f})
		if err != nil {
			t.Fatal(err)
		}
		if got := names(slices.DeleteFunc(slices.Clone(list), func(c *Container) bool { return !match(c) })); got != want {
			t.Errorf("%s: got %q, want %q", f, got, want)
		}
	}
}

func TestSelect(t *testing.T) {
	e := fleet(t)
	idle := func(c *Container) bool { return !c.Active() }
	for name, tc := range map[string]struct {
		Selection
		want, by string
		err      string
	}{
		"nothing":              {},
		"names in their order": {Selection: Selection{Names: []string{"job", "web"}}, want: "job web", by: "job web"},
		"beginning of an ID":   {Selection: Selection{Names: []string{"11"}}, want: "db", by: "11"},
		"all":                  {Selection: Selection{All: true}, want: "web db job new old"},
		"all where":            {Selection: Selection{All: true, Where: idle}, want: "job new old"},
		"names whatever where": {Selection: Selection{Names: []string{"web"}, Where: idle}, want: "web", by: "web"},
		"latest":               {Selection: Selection{Latest: true}, want: "old"},
		"latest whatever":      {Selection: Selection{Latest: true, Where: (*Container).Active}, want: "old"},
		"filters":              {Selection: Selection{Filters: []string{"label=team"}}, want: "web db"},
		"filters where":        {Selection: Selection{Filters: []string{"name=e"}, Where: idle}, want: "new"},
		"filters, then names":  {Selection: Selection{Filters: []string{"label=team"}, Names: []string{"job"}}, want: "web db job"},
		"one is missing":       {Selection: Selection{Names: []string{"web", "x", "job"}}, want: "web job", by: "web job", err: `no container with name or ID "x" found: no such container`},
		"two are missing":      {Selection: Selection{Names: []string{"x", "y"}}, err: "no container with name or ID \"x\" found: no such container\nno container with name or ID \"y\" found: no such container"},
		"missing, ignored":     {Selection: Selection{Names: []string{"web", "x"}, Ignore: true}, want: "web", by: "web"},
		"all and a name":       {Selection: Selection{All: true, Names: []string{"web"}}, err: "no arguments are needed with all"},
		"all and latest":       {Selection: Selection{All: true, Latest: true}, err: "all and latest cannot be used together"},
		"latest of none":       {Selection: Selection{Latest: true, Filters: []string{"name=x"}}, err: "latest: there are no containers"},
		"an empty value":       {Selection: Selection{Filters: []string{"name="}}, err: `filter "name=": write KEY=VALUE, with a value`},
		"a wrong filter":       {Selection: Selection{Filters: []string{"x=y"}, Names: []string{"web"}}, err: `filter "x=y": unknown key "x"`},
	} {
		t.Run(name, func(t *testing.T) {
			found, err := e.Select(t.Context(), tc.Selection)
			var list []*Container
			var by []string
			for _, s := range found {
				list = append(list, s.Container)
				by = append(by, s.By)
				if tc.by == "" && s.By != s.ID && len(tc.Names) == 0 {
					t.Errorf("%s was selected by %q, want its ID", s.State.Name, s.By)
				}
			}
			if got := names(list); got != tc.want || tc.by != "" && strings.Join(by, " ") != tc.by {
				t.Errorf("got %q by %q, want %q by %q", got, by, tc.want, tc.by)
			}
			if text := errText(err); text != tc.err {
				t.Errorf("got error %q, want %q", text, tc.err)
			}
		})
	}
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func TestQuery(t *testing.T) {
	e := fleet(t)
	for name, tc := range map[string]struct {
		Query
		want, err string
	}{
		"active, newest first": {want: "db web"},
		"all":                  {Query: Query{All: true}, want: "old new job db web"},
		"latest":               {Query: Query{Latest: true}, want: "old"},
		"last":                 {Query: Query{Last: 2}, want: "old new"},
		"last of more":         {Query: Query{Last: 9}, want: "old new job db web"},
		"a status is asked":    {Query: Query{Filters: []string{"status=exited"}}, want: "old job"},
		"an exit code":         {Query: Query{Filters: []string{"exited=3"}}, want: "job"},
		"a name is not":        {Query: Query{Filters: []string{"name=job"}}},
		"by command":           {Query: Query{All: true, Order: "command"}, want: "job web db new old"},
		"by ID":                {Query: Query{All: true, Order: "id"}, want: "web db job new old"},
		"by image":             {Query: Query{All: true, Order: "image"}, want: "old job new web db"},
		"by name":              {Query: Query{All: true, Order: "names"}, want: "db job new old web"},
		"by start":             {Query: Query{Order: "runningfor"}, want: "db web"},
		"by status":            {Query: Query{All: true, Order: "status"}, want: "new job old db web"},
		"last, then sorted":    {Query: Query{Last: 3, Order: "names"}, want: "job new old"},
		"no order":             {Query: Query{Order: "x"}, err: `--sort "x": must be command, created, id, image, names, pod, runningfor, size or status`},
		"no filter":            {Query: Query{Filters: []string{"x=y"}}, err: `--filter "x=y": unknown key "x"`},
	} {
		t.Run(name, func(t *testing.T) {
			list, err := e.Query(t.Context(), tc.Query)
			text := ""
			if err != nil {
				text = field.Text(err, field.Flag)
			}
			if got := names(list); got != tc.want || text != tc.err {
				t.Errorf("got %q, %q; want %q, %q", got, text, tc.want, tc.err)
			}
		})
	}
}

func TestWaitFor(t *testing.T) {
	e := fleet(t)
	ready := func(name string, any ...Condition) (int, error) {
		c, err := e.Lookup(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		return e.WaitFor(ctx, c, WaitOptions{Any: any, Interval: time.Millisecond})
	}
	for _, tc := range []struct {
		name string
		any  []Condition
		code int
		err  error
	}{
		{"web", []Condition{WaitRunning}, -1, nil},
		{"web", []Condition{WaitHealthy}, -1, nil},
		{"web", []Condition{WaitPaused, WaitRunning}, -1, nil},
		{"db", []Condition{WaitPaused}, -1, nil},
		{"new", []Condition{WaitCreated}, -1, nil},
		{"job", []Condition{WaitExited, WaitRunning}, 3, nil},
		{"job", []Condition{WaitStopped, WaitRunning}, 3, nil},
		{"web", []Condition{WaitUnhealthy}, 0, context.DeadlineExceeded},
		{"db", []Condition{WaitRunning}, 0, context.DeadlineExceeded},
	} {
		if code, err := ready(tc.name, tc.any...); code != tc.code || !errors.Is(err, tc.err) {
			t.Errorf("%s %v: got %d, %v; want %d, %v", tc.name, tc.any, code, err, tc.code, tc.err)
		}
	}
	var wrong *FieldError
	if _, err := ready("web", "gone"); !errors.As(err, &wrong) || wrong.Field != "condition" {
		t.Errorf("an unknown condition: %v", err)
	}
}

func TestWaitForSeesWhatChanges(t *testing.T) {
	e := fleet(t)
	c, err := e.Lookup(t.Context(), "new")
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		time.Sleep(10 * time.Millisecond)
		s := *c.State
		s.Status, s.ExitCode = record.Exited, 7
		_ = s.Write(c.Dir, false)
	}()
	code, err := e.WaitFor(t.Context(), &Container{ID: c.ID, State: c.State}, WaitOptions{Any: []Condition{WaitRunning, WaitExited}, Interval: time.Millisecond})
	if code != 7 || err != nil {
		t.Errorf("got %d, %v", code, err)
	}
	go func() {
		time.Sleep(10 * time.Millisecond)
		_ = os.RemoveAll(c.Dir)
	}()
	if _, err := e.WaitFor(t.Context(), c, WaitOptions{Any: []Condition{WaitRunning}, Interval: time.Millisecond}); !errors.Is(err, ErrNoSuchContainer) {
		t.Errorf("a container that is removed meanwhile: %v", err)
	}
}

func TestEvents(t *testing.T) {
	e := recorded(t)
	e.opts.EventsBackend = "file"
	e.event(&record.State{Name: "web", ID: "aa", ImageName: "docker.io/library/nginx", Labels: map[string]string{"team": "a"}}, "create")
	e.event(&record.State{Name: "web", ID: "aa", ImageName: "docker.io/library/nginx", Labels: map[string]string{"team": "a"}}, "start")
	middle := time.Now()
	time.Sleep(time.Millisecond)
	e.event(&record.State{Name: "db", ID: "bb", ImageName: "localhost/pg"}, "create")
	for name, tc := range map[string]struct {
		EventOptions
		want, err string
	}{
		"all":                 {want: "web create, web start, db create"},
		"since":               {EventOptions: EventOptions{Since: middle}, want: "db create"},
		"until":               {EventOptions: EventOptions{Until: middle}, want: "web create, web start"},
		"container":           {EventOptions: EventOptions{Filters: []string{"container=db"}}, want: "db create"},
		"beginning of an ID":  {EventOptions: EventOptions{Filters: []string{"container=a"}}, want: "web create, web start"},
		"image":               {EventOptions: EventOptions{Filters: []string{"image=nginx"}}, want: "web create, web start"},
		"event":               {EventOptions: EventOptions{Filters: []string{"event=create"}}, want: "web create, db create"},
		"alternatives":        {EventOptions: EventOptions{Filters: []string{"event=create", "event=start"}}, want: "web create, web start, db create"},
		"keys must all match": {EventOptions: EventOptions{Filters: []string{"event=create", "container=web"}}, want: "web create"},
		"type":                {EventOptions: EventOptions{Filters: []string{"type=image"}}},
		"label":               {EventOptions: EventOptions{Filters: []string{"label=team=a"}}, want: "web create, web start"},
		"another value":       {EventOptions: EventOptions{Filters: []string{"label=team=b"}}},
		"followed to its end": {EventOptions: EventOptions{Follow: true, Until: time.Now().Add(20 * time.Millisecond)}, want: "web create, web start, db create"},
		"unknown key":         {EventOptions: EventOptions{Filters: []string{"x=y"}}, err: `filter "x=y": unknown key "x"`},
		"no value":            {EventOptions: EventOptions{Filters: []string{"event"}}, err: `filter "event": write KEY=VALUE`},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			err := e.EachEvent(t.Context(), tc.EventOptions, func(ev Event) error {
				got = append(got, ev.Name+" "+ev.Status)
				return nil
			})
			if text := errText(err); strings.Join(got, ", ") != tc.want || text != tc.err {
				t.Errorf("got %q, %q; want %q, %q", got, text, tc.want, tc.err)
			}
		})
	}
	stop := errors.New("enough")
	if err := e.EachEvent(t.Context(), EventOptions{Follow: true}, func(Event) error { return stop }); err != stop {
		t.Errorf("an error of the caller's: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := e.EachEvent(ctx, EventOptions{Follow: true}, func(Event) error { return nil }); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a context that ends: %v", err)
	}
}

func TestSelectVolumes(t *testing.T) {
	e := recorded(t)
	list := []Volume{
		{Name: "data", Driver: "local", Scope: "local", CreatedAt: day, Labels: map[string]string{"team": "a"}},
		{Name: "0123", Driver: "local", Scope: "local", CreatedAt: day.Add(time.Hour), Anonymous: true, Options: map[string]string{"type": "tmpfs"}},
	}
	for filters, want := range map[string]string{
		"": "data 0123", "name=^d": "data", "name=d name=1": "data 0123", "label=team": "data", "label!=team": "0123", "driver=local": "data 0123", "driver=nfs": "",
		"scope=local anonymous=true": "0123", "anonymous=0": "data", "opt=type": "0123", "dangling=true": "data 0123", "dangling=false": "",
		"until=2026-11-21T12:30:00Z": "data",
	} {
		got, err := e.SelectVolumes(t.Context(), list, strings.Fields(filters))
		var names []string
		for _, v := range got {
			names = append(names, v.Name)
		}
		if err != nil || strings.Join(names, " ") != want {
			t.Errorf("%s: got %q, %v; want %q", filters, names, err, want)
		}
	}
	for f, want := range map[string]string{
		"name=":      `filter "name=": write KEY=VALUE, with a value`,
		"x=y":        `filter "x=y": unknown key "x"`,
		"dangling=x": `filter "dangling=x": "x" is an invalid value for the "dangling" filter: want true or false`,
	} {
		if got, err := e.SelectVolumes(t.Context(), list, []string{f}); errText(err) != want || got != nil {
			t.Errorf("%s: got %v, %v; want %s", f, got, err, want)
		}
	}
}

// On a slow disk a later command vouches in the place of one that is still at it.
func TestSeveralVouchForOneContainer(t *testing.T) {
	e := recorded(t, record.State{Name: "web", Status: record.Created})
	dir := filepath.Join(e.data, "containers", strings.Repeat("0", 64))
	cfg := &record.Config{Supervised: record.Supervised{ID: filepath.Base(dir), Name: "web", Rootfs: record.Rootfs{Type: "bind"}}}
	if err := cfg.Write(dir, false); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if err := os.WriteFile(filepath.Join(dir, makingFile), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		errs := make(chan error)
		for range 8 {
			go func() { errs <- e.vouch(dir) }()
		}
		for range 8 {
			if err := <-errs; err != nil {
				t.Fatal(err)
			}
		}
	}
}
