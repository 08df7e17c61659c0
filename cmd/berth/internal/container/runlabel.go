// SPDX-License-Identifier: Apache-2.0

package container

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/berth-containers/berth/cmd/berth/internal/cli"
	"github.com/berth-containers/berth/internal/leash"
	"github.com/berth-containers/berth/libctr/image"
	"github.com/berth-containers/berth/rootless"
	"github.com/mattn/go-shellwords"
	"github.com/spf13/cobra"
	"go.podman.io/image/v5/docker/reference"
	"golang.org/x/sys/unix"
)

type runlabelOptions struct {
	name                    string
	display, quiet, replace bool
	opts                    [3]string

	self []string // this program with its global flags
	pull []string // flags for the pull of a missing image
}

// NewRunlabel returns the command `container runlabel`.
func NewRunlabel(g *cli.Global) *cobra.Command { return newRunlabel(g, runlabel) }

func newRunlabel(g *cli.Global, run cli.Run[*runlabelOptions]) *cobra.Command {
	var o runlabelOptions
	cmd := &cobra.Command{
		Use:   "runlabel [options] LABEL IMAGE [ARG...]",
		Short: "Run the command that a label of an image has",
		Long: `Runs, on the host and with your rights, the command that a label of an image has: look at it with --display first. The image is pulled if it is missing. In the
command berth, podman and docker stand for this program; IMAGE, $IMAGE, NAME, $NAME, $PWD, $SUDO_UID and $SUDO_GID are replaced, and other variables are
empty. What follows the image is added to it.`,
		Example: "berth container runlabel --display run app\n  berth container runlabel --name web --replace run app",
		Args:    cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.self = g.Argv[:min(cli.CommandIndex(cmd.Root(), g.Argv), len(g.Argv))]
			for _, name := range []string{"authfile", "cert-dir", "creds", "tls-verify"} {
				if f := cmd.Flags().Lookup(name); f.Changed {
					o.pull = append(o.pull, "--"+name+"="+f.Value.String())
				}
			}
			return run(cmd.Context(), g.Call(cmd, args), &o)
		},
	}
	f := cmd.Flags()
	f.SetInterspersed(false)
	f.StringVarP(&o.name, "name", "n", "", "what NAME stands for (default: the image's name without registry and tag)")
	f.BoolVar(&o.display, "display", false, "show the command and do not run it")
	f.BoolVarP(&o.quiet, "quiet", "q", false, "show no output of the pull and of the command")
	f.BoolVar(&o.replace, "replace", false, "remove a container first that has the name which the command gives with --name")
	f.String("authfile", "", "`FILE` with credentials for the pull")
	f.String("cert-dir", "", "`DIR` with the registry's certificates and keys")
	f.String("creds", "", "`USERNAME:PASSWORD` for the registry")
	f.Bool("tls-verify", true, "require HTTPS and verify certificates")
	for i := range o.opts {
		name := fmt.Sprintf("opt%d", i+1)
		f.StringVar(&o.opts[i], name, "", "what $"+strings.ToUpper(name)+" stands for")
		f.Lookup(name).Hidden = true
	}
	return cmd
}

// runlabel becomes the command.
func runlabel(ctx context.Context, call cli.Call, o *runlabelOptions) error {
	label, name := call.Args[0], call.Args[1]
	e, err := call.Open(ctx)
	if err != nil {
		return err
	}
	img, err := e.ImageView().Lookup(name, image.LookupOptions{})
	if errors.Is(err, image.ErrNotFound) {
		if err := o.do(call, slices.Concat([]string{"pull"}, o.pull, []string{name})); err != nil {
			return fmt.Errorf("pull image %s: %w", name, err)
		}
		img, err = e.ImageView().Lookup(name, image.LookupOptions{})
	}
	if err != nil {
		return err
	}
	conf, err := img.Config()
	if err != nil {
		return err
	}
	var text string
	for key, value := range conf.Image.Config.Labels {
		if strings.EqualFold(key, label) {
			text = value
		}
	}
	if text == "" {
		return fmt.Errorf("cannot find the value of label: %s in image: %s", label, name)
	}
	argv, own, err := o.command(text, labelImage(img), call.Args[2:])
	if err != nil {
		return fmt.Errorf("label %s of image %s: %w", label, name, err)
	}
	if o.display {
		if own {
			argv = append([]string{filepath.Base(o.self[0])}, argv[1:]...)
		}
		fmt.Fprintf(call.Out, "command: %s\n", strings.Join(argv, " "))
		return nil
	}
	if i := slices.Index(argv, "--name"); o.replace && i >= 0 && i+1 < len(argv) {
		if err := o.do(call, []string{"rm", "--force", "--ignore", argv[i+1]}); err != nil {
			return fmt.Errorf("remove container %s: %w", argv[i+1], err)
		}
	}
	if own {
		argv = slices.Concat(o.self, argv[1:])
	}
	return o.become(argv, own)
}

// labelImage is what IMAGE stands for.
func labelImage(img *image.Image) string {
	if len(img.Names) > 0 {
		return img.Names[0]
	}
	return img.ID
}

// command is the command of a label; own says that it is one of this program's.
func (o *runlabelOptions) command(text, img string, args []string) (argv []string, own bool, err error) {
	p := shellwords.NewParser()
	p.SetExcludeSeparators(';', '&', '|', '<', '>') // there is no shell, unless the command is one
	words, err := p.Parse(text)
	if err != nil {
		return nil, false, err
	}
	if len(words) == 0 {
		return nil, false, errors.New("it has no command")
	}
	name := o.name
	if name == "" {
		name = img
		if ref, err := reference.ParseNormalizedNamed(img); err == nil {
			name = path.Base(ref.Name())
		}
	}
	var bad error
	value := func(variable string) string {
		switch variable {
		case "IMAGE":
			return img
		case "NAME":
			return name
		case "PWD":
			dir, err := os.Getwd()
			bad = errors.Join(bad, err)
			return dir
		case "SUDO_UID", "SUDO_GID":
			return sudoID(variable)
		case "OPT1", "OPT2", "OPT3":
			return o.opts[variable[3]-'1']
		}
		return ""
	}
	for _, w := range words {
		switch key, v, valued := strings.Cut(w, "="); {
		case w == "IMAGE" || w == "NAME":
			argv = append(argv, value(w))
		case valued && (v == "IMAGE" || v == "NAME"):
			argv = append(argv, key+"="+value(v))
		case len(w) == 5 && strings.HasPrefix(w, "$OPT") && '1' <= w[4] && w[4] <= '3': // several words, or none
			more, err := p.Parse(value(w[1:]))
			if err != nil {
				return nil, false, err
			}
			argv = append(argv, more...)
		case w == "$GLOBAL_OPTS":
		default:
			argv = append(argv, os.Expand(w, value))
		}
	}
	if bad != nil {
		return nil, false, bad
	}
	if len(argv) == 0 || argv[0] == "" {
		return nil, false, errors.New("it has no command")
	}
	own = argv[0] == "podman" || argv[0] == "berth" || path.Base(argv[0]) == "docker"
	return append(argv, args...), own, nil
}

// sudoID is the user or the group that called sudo, or else that logged in.
func sudoID(variable string) string {
	if id := os.Getenv(variable); id != "" {
		return id
	}
	uid := os.Getenv("SUDO_UID")
	if uid == "" {
		data, _ := os.ReadFile("/proc/self/loginuid") // without audit in the kernel there is none
		uid = strings.TrimSpace(string(data))
	}
	if variable == "SUDO_UID" {
		return uid
	}
	if u, err := user.LookupId(uid); err == nil {
		return u.Gid
	}
	return uid
}

// do runs a command of this program.
func (o *runlabelOptions) do(call cli.Call, args []string) error {
	self, err := rootless.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(self, slices.Concat(o.self[1:], args)...)
	if cmd.Stderr = call.Err; o.quiet {
		cmd.Stderr = nil
	}
	return cmd.Run()
}

// become runs a command in place of this program.
func (o *runlabelOptions) become(argv []string, own bool) error {
	program, err := "", error(nil)
	if own {
		program, err = rootless.Executable()
	} else {
		program, err = exec.LookPath(argv[0])
	}
	if err != nil {
		return &cli.ExitError{Code: 127, Err: err}
	}
	if o.quiet {
		null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		for fd := 1; fd <= 2; fd++ {
			if err := unix.Dup3(int(null.Fd()), fd, 0); err != nil {
				return err
			}
		}
	}
	env := os.Environ()
	for i, value := range o.opts {
		if value != "" {
			env = append(env, fmt.Sprintf("OPT%d=%s", i+1, value))
		}
	}
	leash.End()
	return &cli.ExitError{Code: 126, Err: fmt.Errorf("run %s: %w", program, unix.Exec(program, argv, env))}
}
