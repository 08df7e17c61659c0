// SPDX-License-Identifier: Apache-2.0

// Package live has the live view of running containers: `berth top` without a container. Only the complete program links it, and with it the
// terminal library. The model (model.go) knows no terminal, and what is drawn is drawn on a tcell.Screen, which a test simulates.
package live

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"github.com/gdamore/tcell/v2"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/cmd/berth/internal/console"
	"github.com/berth-containers/berth/internal/visible"
	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/libctr/logfile"
	"github.com/berth-containers/berth/rootless"
)

// interval is the time between two looks at the containers.
const interval = time.Second

// Possible reports whether there is a terminal to show the view on, and to read keys from.
func Possible() bool {
	return console.IsTerminal(os.Stdin) && console.IsTerminal(console.Out.File())
}

// Run shows the view until its user leaves it, or ctx ends. global are the program and its global flags, with which it is run again for exec.
func Run(ctx context.Context, e *libctr.Engine, global []string) error {
	screen, err := tcell.NewScreen()
	if err == nil {
		err = screen.Init()
	}
	if err != nil {
		return fmt.Errorf("use the terminal: %w", err)
	}
	defer screen.Fini()
	v := &view{engine: e, screen: screen, global: global}
	return v.loop(ctx)
}

// view joins the model, the engine and the terminal. Its methods run on one goroutine, loop's.
type view struct {
	model
	engine *libctr.Engine
	screen tcell.Screen
	global []string

	stopLogs context.CancelFunc // of those that are shown; nil for none
}

// Events that goroutines post to the loop.
type (
	looked struct { // at the containers
		list  []*libctr.Container
		stats []*libctr.Stats
		err   error
	}
	logLine struct {
		id   string
		text string
	}
	done struct{ message string } // what was asked of the engine
)

func (v *view) loop(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go v.look(ctx)
	stop := context.AfterFunc(ctx, func() { v.post(done{}) }) // the loop waits for events
	defer stop()
	for {
		v.draw(v.screen)
		v.screen.Show()
		ev := v.screen.PollEvent()
		if ev == nil || ctx.Err() != nil {
			return nil
		}
		switch ev := ev.(type) {
		case *tcell.EventResize:
			v.screen.Sync()
		case *tcell.EventKey:
			if v.key(ctx, ev) {
				return nil
			}
		case *tcell.EventInterrupt:
			v.take(ev.Data())
		}
	}
}

func (v *view) post(data any) { _ = v.screen.PostEvent(tcell.NewEventInterrupt(data)) }

// look reports what the containers use, again and again.
func (v *view) look(ctx context.Context) {
	for {
		var l looked
		l.list, l.err = v.engine.Query(ctx, libctr.Query{All: true, Order: "names"})
		if l.err == nil {
			l.stats, l.err = v.engine.Stats(ctx, l.list)
		}
		v.post(l)
		select {
		case <-ctx.Done():
			return
		case <-time.After(interval):
		}
	}
}

func (v *view) take(data any) {
	switch d := data.(type) {
	case looked:
		if d.err != nil {
			v.message = d.err.Error()
			return
		}
		v.update(d.list, d.stats)
	case logLine:
		if v.logsOf == d.id {
			v.addLog(d.text)
		}
	case done:
		v.message = d.message
	}
}

// key does what a key asks for, and reports whether the view is to end.
func (v *view) key(ctx context.Context, ev *tcell.EventKey) bool {
	if ev.Key() == tcell.KeyCtrlC {
		return true
	}
	switch {
	case v.typing:
		v.typeFilter(ev.Key(), ev.Rune())
		return false
	case v.question != "":
		if ev.Rune() == 'y' {
			v.stop(ctx)
		}
		v.question = ""
		return false
	case v.logsOf != "":
		if ev.Key() == tcell.KeyEscape || ev.Rune() == 'q' || ev.Rune() == 'l' {
			v.closeLogs()
		}
		return false
	}
	v.message = ""
	switch ev.Key() {
	case tcell.KeyEscape:
		v.filter = ""
	case tcell.KeyUp:
		v.move(-1)
	case tcell.KeyDown:
		v.move(1)
	case tcell.KeyEnter:
		v.openLogs(ctx)
	}
	switch ev.Rune() {
	case 'q':
		return true
	case 'k':
		v.move(-1)
	case 'j':
		v.move(1)
	case 's':
		v.nextOrder()
	case 'r':
		v.reverse = !v.reverse
	case 'a':
		v.all = !v.all
	case '/':
		v.typing, v.filter = true, ""
	case 'l':
		v.openLogs(ctx)
	case 'e':
		v.exec(ctx)
	case 'x':
		if r := v.chosen(); r != nil {
			v.question = "Stop " + r.name + "? [y/N]"
		}
	}
	return false
}

// stop stops the chosen container, while the view goes on.
func (v *view) stop(ctx context.Context) {
	r := v.chosen()
	if r == nil {
		return
	}
	v.message = "stopping " + r.name
	go func() {
		message := "stopped " + r.name
		if err := v.engine.Stop(ctx, r.container, libctr.StopOptions{}); err != nil {
			message = err.Error()
		}
		v.post(done{message})
	}()
}

// openLogs shows the log of the chosen container, as it grows.
func (v *view) openLogs(ctx context.Context) {
	r := v.chosen()
	if r == nil {
		return
	}
	ctx, v.stopLogs = context.WithCancel(ctx)
	v.logsOf, v.logsName, v.logs = r.id, r.name, nil
	go func() {
		if err := v.followLog(ctx, r); err != nil && ctx.Err() == nil {
			v.post(logLine{r.id, "(" + err.Error() + ")"})
		}
	}()
}

func (v *view) followLog(ctx context.Context, r *row) error {
	reader, err := v.engine.Logs(ctx, r.container, logfile.ReadOptions{Tail: keptLines, Follow: true})
	if err != nil {
		if errors.Is(err, os.ErrNotExist) {
			err = errors.New("it has logged nothing yet")
		}
		return err
	}
	defer reader.Close()
	for {
		entry, err := reader.Next(ctx)
		if err == io.EOF {
			return errors.New("the end: it does not run")
		}
		if err != nil {
			return err
		}
		v.post(logLine{r.id, visible.Line(string(entry.Text))})
	}
}

func (v *view) closeLogs() {
	v.stopLogs()
	v.logsOf, v.logs = "", nil
}

// exec runs a shell in the chosen container, on this terminal.
func (v *view) exec(ctx context.Context) {
	r := v.chosen()
	if r == nil {
		return
	}
	if err := v.screen.Suspend(); err != nil {
		v.message = err.Error()
		return
	}
	err := v.shell(ctx, r)
	if resumed := v.screen.Resume(); resumed != nil {
		err = errors.Join(err, resumed)
	}
	v.screen.Sync()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) { // else the shell's own code, or what berth has said on the terminal
		v.message = err.Error()
	}
}

func (v *view) shell(ctx context.Context, r *row) error {
	self, err := rootless.Executable()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, self, append(v.global[1:len(v.global):len(v.global)], "exec", "-it", r.id, "/bin/sh")...)
	cmd.Args[0] = v.global[0]
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, console.Out.File(), console.Err.File()
	fmt.Fprintf(console.Out, "A shell in %s; leave it with: exit\n", r.name)
	return cmd.Run()
}

// Command does the work of `top` without a container: it shows the view, or in a pipe what once prints.
func Command(ctx context.Context, call cli.Call, global []string, once func(context.Context, cli.Call) error) error {
	if !Possible() {
		return once(ctx, call)
	}
	e, err := call.Open(ctx)
	if err != nil {
		return err
	}
	return Run(ctx, e, global)
}
