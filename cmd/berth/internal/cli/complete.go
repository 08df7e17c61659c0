// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/berth-containers/berth/internal/visible"
	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/libctr/record"
	"github.com/berth-containers/berth/network"
	"github.com/berth-containers/berth/network/conflist"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Begun is the command line without the program that a shell wants completed, if argv asks for that; its last word is only begun.
func Begun(argv []string) []string {
	if len(argv) > 2 && (argv[1] == cobra.ShellCompRequestCmd || argv[1] == cobra.ShellCompNoDescRequestCmd) {
		return argv[2:]
	}
	return nil
}

// Complete has the commands of a tree answer shells. No command says anything for that: its arguments are what the words of
// its Use say, CONTAINER or IMAGE; the value of a flag is what the flag suggests (Suggester), or one of the words that its usage lists,
// as in "pull policy: always, missing, never or newer". See docs/decisions/0049.
func (g *Global) Complete(cmd *cobra.Command) {
	if cmd.ValidArgsFunction == nil && !cmd.HasSubCommands() {
		slots := argumentsOf(cmd.Use)
		cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
			s := suggestions{ctx: cmd.Context(), g: g, command: cmd.Name(), begun: begun, given: args}
			return s.argument(slots)
		}
	}
	cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
		if f.NoOptDefVal != "" {
			return
		}
		_ = cmd.RegisterFlagCompletionFunc(f.Name, func(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
			s := suggestions{ctx: cmd.Context(), g: g, begun: begun}
			return s.value(f)
		})
	})
	for _, c := range cmd.Commands() {
		g.Complete(c)
	}
}

// argumentsOf are the names of the arguments in a command's Use, in order; the last is "..." if it may be repeated.
func argumentsOf(use string) (slots []string) {
	_, words, _ := strings.Cut(use, " ")
	words = flagsInUse().ReplaceAllString(words, "")
	for _, w := range strings.Fields(words) {
		repeated := strings.Contains(w, "...")
		if w = strings.Trim(w, "[]{}()."); w != "" && (len(slots) == 0 || slots[len(slots)-1] != w) {
			slots = append(slots, w)
		}
		if repeated {
			return append(slots, "...")
		}
	}
	return slots
}

// suggestions are asked for once.
type suggestions struct {
	ctx     context.Context
	g       *Global
	command string
	begun   string
	given   []string // the arguments before it

	all []string // what has been found: a word, and behind a tab what it is
}

// argument suggests the next argument: files where its name says nothing.
func (s *suggestions) argument(slots []string) ([]string, cobra.ShellCompDirective) {
	slot := ""
	switch n := len(s.given); {
	case n < len(slots) && slots[n] != "...":
		slot = slots[n]
	case len(slots) > 1 && slots[len(slots)-1] == "...":
		slot = slots[len(slots)-2]
	case len(slots) == 0 || n >= len(slots):
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	known := true
	for kind := range strings.SplitSeq(slot, "|") {
		known = s.add(kind) && known
	}
	return s.answer(known)
}

// What stands in a command's Use, by what it is for a shell: names that it cannot know, or files.
var (
	names = []string{"COLUMN", "DESTINATION", "ID", "KEY", "LABEL", "NAME", "NEW-NAME", "PARAM", "PART", "PORT", "REFERENCE", "REGISTRY", "REPOSITORY", "REVISION", "WORD"}
	files = []string{"ARG", "COMMAND", "CONTEXT", "DIR", "FILE", "PATH", "SRC_PATH", "DEST_PATH"}
)

// kindOf is what an argument's name stands for: PART for PART[@RANGE.
func kindOf(slot string) string {
	if i := strings.IndexAny(slot, "[@/="); i > 0 {
		return slot[:i]
	}
	return slot
}

// UnknownArguments are those of a command's Use that the shells can make nothing of: Complete wants them in a list.
func UnknownArguments(use string) (unknown []string) {
	known := slices.Concat([]string{"CONTAINER", "IMAGE", "VOLUME", "SECRET", "NETWORK", "...", "-"}, names, files)
	for _, slot := range argumentsOf(use) {
		for kind := range strings.SplitSeq(slot, "|") {
			if kind = kindOf(kind); !slices.Contains(known, kind) && !strings.HasPrefix(kind, "CONTAINER:") && strings.ToUpper(kind) == kind {
				unknown = append(unknown, kind)
			}
		}
	}
	return unknown
}

// add suggests things of a kind; false is that it may be a file.
func (s *suggestions) add(kind string) bool {
	if strings.HasPrefix(kind, "CONTAINER:") { // of cp: CONTAINER:PATH
		s.containers(":")
		return false
	}
	switch kind = kindOf(kind); kind {
	case "CONTAINER":
		s.containers("")
	case "IMAGE":
		s.images()
	case "VOLUME":
		s.volumes("")
	case "SECRET":
		s.secrets()
	case "NETWORK":
		s.networks()
	default:
		return slices.Contains(names, kind)
	}
	return true
}

// answer returns what was found. No space follows what goes on.
func (s *suggestions) answer(noFiles bool) ([]string, cobra.ShellCompDirective) {
	d := cobra.ShellCompDirectiveDefault
	if noFiles {
		d = cobra.ShellCompDirectiveNoFileComp
	}
	for _, line := range s.all {
		if word, _, _ := strings.Cut(line, "\t"); strings.HasSuffix(word, "=") || strings.HasSuffix(word, ":") || strings.HasSuffix(word, ".") {
			d |= cobra.ShellCompDirectiveNoSpace
		}
	}
	return s.all, d
}

// word suggests a word that is what was begun.
func (s *suggestions) word(w, about string) {
	if strings.HasPrefix(w, s.begun) && !slices.Contains(s.given, w) {
		s.all = append(s.all, strings.TrimSuffix(w+"\t"+visible.Line(about), "\t"))
	}
}

// fit says which containers a command can do something with; for others any.
func fit(command string) func(*libctr.Container) bool {
	switch command {
	case "attach", "exec", "kill", "pause", "stop", "top":
		return (*libctr.Container).Active
	case "start", "init":
		return func(c *libctr.Container) bool { return !c.Active() }
	case "unpause":
		return func(c *libctr.Container) bool { return c.State.Status == record.Paused }
	}
	return func(*libctr.Container) bool { return true }
}

// containers suggests names, and IDs to who has begun one, each with end behind it.
func (s *suggestions) containers(end string) {
	e, err := s.g.OpenOnly(s.ctx)
	if err != nil {
		return
	}
	list, err := e.List(s.ctx)
	if err != nil {
		return
	}
	fits := fit(s.command)
	for _, c := range list {
		if !fits(c) {
			continue
		}
		s.word(c.State.Name+end, c.State.ImageName)
		if len(s.begun) > 1 && !strings.HasPrefix(c.State.Name, s.begun) {
			s.word(c.ID[:max(12, len(strings.TrimSuffix(s.begun, ":")))]+end, c.State.Name)
		}
	}
	slices.Sort(s.all)
}

// images suggests names, whole or without what stands before a slash, and IDs.
func (s *suggestions) images() {
	e, err := s.g.OpenOnly(s.ctx)
	if err != nil {
		return
	}
	list, err := e.ImageView().Images()
	if err != nil {
		return
	}
	for _, img := range list {
		found := len(s.all)
		for _, name := range img.Names {
			s.word(name, "")
			for rest := name; s.begun != "" && strings.Contains(rest, "/"); {
				_, rest, _ = strings.Cut(rest, "/")
				s.word(rest, name)
			}
		}
		if len(s.begun) > 1 && len(s.all) == found {
			s.word(img.ID[:max(12, len(s.begun))], strings.Join(img.Names, " "))
		}
	}
	slices.Sort(s.all)
	s.all = slices.Compact(s.all)
}

func (s *suggestions) volumes(end string) {
	e, err := s.g.OpenOnly(s.ctx)
	if err != nil {
		return
	}
	list, err := e.Volumes()
	if err != nil {
		return
	}
	for _, v := range list {
		s.word(v.Name+end, v.Driver)
	}
}

func (s *suggestions) secrets() {
	e, err := s.g.OpenOnly(s.ctx)
	if err != nil {
		return
	}
	list, err := e.Secrets().List(s.ctx)
	if err != nil {
		return
	}
	for _, secret := range list {
		s.word(secret.Name, secret.Driver)
	}
}

// networks suggests the networks that containers share.
func (s *suggestions) networks() {
	e, err := s.g.OpenOnly(s.ctx)
	if err != nil {
		return
	}
	dir, err := e.NetworksDir()
	if err != nil {
		return
	}
	all, _ := conflist.All(dir)
	for _, l := range all {
		s.word(l.Name, l.Plugins[0].Type)
	}
	if !slices.ContainsFunc(all, func(l *conflist.List) bool { return l.Name == network.DefaultNetwork }) {
		s.word(network.DefaultNetwork, "bridge")
	}
}

// value suggests what a flag's value may become: files where nothing is known.
func (s *suggestions) value(f *pflag.Flag) ([]string, cobra.ShellCompDirective) {
	if known, ok := f.Value.(Suggester); ok {
		if s.filter(known.Suggest("")); len(s.all) == 0 {
			s.all = known.Suggest(s.begun)
		}
		return s.answer(true)
	}
	switch f.Name {
	case "volume":
		if !strings.HasPrefix(s.begun, "/") && !strings.HasPrefix(s.begun, ".") {
			s.volumes(":")
		}
		return s.answer(false)
	case "secret":
		if strings.Contains(f.Usage, "NAME[,") { // a build's are files
			s.secretOptions()
			return s.answer(true)
		}
	case "volumes-from":
		return s.answer(s.add("CONTAINER"))
	case "signal", "stop-signal":
		for _, name := range []string{"HUP", "INT", "QUIT", "KILL", "USR1", "USR2", "TERM", "STOP", "CONT", "WINCH"} {
			s.word(name, "")
			s.word("SIG"+name, "")
		}
		return s.answer(true)
	}
	if f.Name == "network" && strings.Contains(f.Usage, "name of a network") || strings.Contains(f.Usage, "NAME[:OPTIONS] of a network") {
		s.networks()
	}
	choices := choicesOf(f.Usage)
	for _, c := range choices {
		if c == "container:" {
			if strings.HasPrefix(s.begun, c) {
				s.behind(c, func() { s.containers("") })
				continue
			}
		}
		s.word(c, "")
	}
	return s.answer(len(choices) > 0)
}

// behind has what do suggests follow a beginning of the word.
func (s *suggestions) behind(beginning string, do func()) {
	whole, found := s.begun, len(s.all)
	s.begun = strings.TrimPrefix(whole, beginning)
	do()
	s.begun = whole
	for i := range s.all[found:] {
		s.all[found+i] = beginning + s.all[found+i]
	}
}

func (s *suggestions) words(list ...string) {
	for _, w := range list {
		s.word(w, "")
	}
}

// secretOptions suggests NAME[,KEY=VALUE…] of a secret.
func (s *suggestions) secretOptions() {
	given := s.begun[:strings.LastIndex(s.begun, ",")+1]
	if given == "" {
		s.secrets()
		return
	}
	s.behind(given, func() {
		if strings.HasPrefix(s.begun, "type=") {
			s.words("type=env", "type=mount")
			return
		}
		for _, key := range []string{"gid=", "mode=", "target=", "type=", "uid="} {
			if !strings.Contains(given, ","+key) {
				s.word(key, "")
			}
		}
	})
}

// filter suggests the value behind the key of a filter that has been written; keys are those of the command.
func (s *suggestions) filter(keys []string) {
	key, _, ok := strings.Cut(s.begun, "=")
	if !ok {
		return
	}
	s.behind(key+"=", func() {
		switch key {
		case "after", "before", "since": // another of what is listed
			switch {
			case slices.Contains(keys, "ancestor="):
				s.containers("")
			case slices.Contains(keys, "reference="):
				s.images()
			default:
				s.volumes("")
			}
		case "ancestor":
			s.images()
		case "volume":
			s.volumes("")
		case "status":
			s.words("created", "exited", "initialized", "paused", "running", "stopped")
		case "health":
			s.words("healthy", "none", "starting", "unhealthy")
		case "restart-policy":
			s.words("always", "no", "on-failure", "unless-stopped")
		case "anonymous", "containers", "dangling", "intermediate", "manifest", "readonly":
			s.words("false", "true")
		}
	})
}

// flagsInUse are those that a Use names, in parentheses if one of them has to be there.
var flagsInUse = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\[options\]|\(--[^)]*\)`) })

var choice = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^([a-z0-9][a-z0-9._-]*[:=]?)([A-Z[][^ ]*)?$`)
})

// choicesOf are the words that a flag's usage lists: one, two or three. What may follow a word is in capitals or brackets.
func choicesOf(usage string) (all []string) {
	usage, _, _ = strings.Cut(usage, " (")
	list := strings.TrimPrefix(usage, "sort by ")
	if _, behind, ok := strings.Cut(list, ": "); ok {
		list = behind
	}
	for part := range strings.SplitSeq(strings.ReplaceAll(list, " or ", ", "), ", ") {
		c := choice().FindStringSubmatch(strings.TrimPrefix(part, "or "))
		if c == nil {
			return nil
		}
		all = append(all, c[1])
	}
	if len(all) < 2 {
		return nil
	}
	return all
}
