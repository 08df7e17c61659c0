// SPDX-License-Identifier: Apache-2.0

package build

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/berth-containers/berth/internal/field"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/internal/unpack"
	"go.podman.io/storage"
)

// StepError is an error of one instruction. Its text says where that stands: Containerfile:7: RUN make: exit code 2.
type StepError struct {
	File        string // as the user calls it
	Line        int    // where the instruction begins; 0 if that is not known
	Instruction string // as it is written
	Code        int    // the exit code of a RUN that failed; 0 for all other errors
	Err         error
}

func (e *StepError) Error() string {
	where := e.File
	if e.Line > 0 {
		where += ":" + strconv.Itoa(e.Line)
	}
	if where != "" {
		where += ": "
	}
	if first, _, more := strings.Cut(e.Instruction, "\n"); first != "" {
		first = strings.TrimRight(strings.TrimSuffix(strings.TrimSpace(first), "\\"), " ")
		if more {
			first += " …"
		}
		where += clip(first, instructionShown) + ": "
	}
	return where + e.Err.Error()
}

// Unwrap returns Err.
func (e *StepError) Unwrap() error { return e.Err }

// instructionShown is how many characters of an instruction an error repeats.
const instructionShown = 100

// retold is an error of buildah's in other words.
type retold struct {
	text string
	err  error
}

func (e *retold) Error() string { return e.text }
func (e *retold) Unwrap() error { return e.err }

// retell says what went wrong in a build, where it stands, and not how buildah came to it. step is the one that failed, as far
// as that is known, and runtime what the OCI runtime said, where it could not run a command.
func (s *Session) retell(ctx context.Context, err error, step Event, runtime string, r *recipe, o *Options) error {
	told := &StepError{}
	if n := r.node(step); n != nil {
		told.File, told.Line, told.Instruction = r.files[n], n.StartLine, n.Original
	} else {
		told.Instruction = step.Text
		if i := max(step.Stage-1, 0); step.Step > 0 && i < len(r.stages) {
			told.File = r.files[r.stages[i].from]
		} else if step.Step > 0 && len(o.Files) == 1 {
			told.File = o.name(o.Files[0])
		}
	}
	if ctx.Err() != nil { // the command was ended, and its exit code says nothing
		told.Err = &retold{"interrupted", ctx.Err()}
		return told
	}
	on := ""
	if m := onPlatform().FindStringSubmatch(err.Error()); m != nil {
		on = " (for " + m[1] + ")"
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() > 0 && strings.Contains(err.Error(), "while running runtime") {
		told.Code = exit.ExitCode()
		told.Err = &retold{fmt.Sprintf("exit code %d%s", told.Code, on), err}
		if runtime != "" {
			return s.explainRuntime(told, runtime, err)
		}
		return told
	}
	text, line := s.words(err, o)
	if n := r.nodeAt(max(step.Stage-1, 0), line); n != nil {
		told.File, told.Line, told.Instruction = r.files[n], n.StartLine, n.Original
	}
	told.Err = &retold{text + on, err}
	return s.adviseStep(ctx, told, r, step, o)
}

// onPlatform is what buildah puts in front of all where several platforms are built.
var onPlatform = lazy(`^\[([a-z0-9]+/[a-z0-9/]+)\]: `)

// telling is the most telling of several errors, of several platforms or of both ends of a pipe: the first that is not about the
// pipe itself, which breaks when the other end has failed.
func telling(err error) error {
	several, ok := err.(interface{ WrappedErrors() []error })
	if !ok || len(several.WrappedErrors()) == 0 {
		return err
	}
	all := several.WrappedErrors()
	for _, e := range all {
		if !strings.Contains(e.Error(), "closed pipe") && !strings.Contains(e.Error(), "broken pipe") {
			return e
		}
	}
	return all[0]
}

// wrappers are what buildah puts in front of errors, and says only what it was doing inside.
var wrappers = lazy(`^(?:\[[^\]]+\]: |building at STEP |creating build container: |resolving mountpoints for container |checking if cached image exists from a previous build: ` +
	`|unable to get createdBy for the node: |updating build context: |reading multiple stages: |determining starting point for build: |creating build executor: ` +
	`|unable to copy from source |initializing source |parsing main Dockerfile: |prepping temporary context directory: |copier: |while running runtime: )`)

// rewording turns what is buildah's own into what the user knows; the order counts.
var rewording = []struct {
	from func() *regexp.Regexp
	to   string
}{
	{lazy(`(?s)error during bulk transfer for copier\.request\{.*\}: `), ""},
	{lazy(`copier: (?:stat|get|put|mkdir|ensure): `), ""},
	{lazy(`waiting on subprocess: exit status \d+; `), ""},
	{lazy(`error (?:encoding|decoding) [a-z ]+ (?:for|from) copier subprocess: `), ""},
	{lazy(`: write \|\d+: broken pipe$`), ""},
	{lazy(`error in copier subprocess: changing to intended-new-root directory ("[^"]*"): chdir [^:]*: `), "the context $1: "},
	{lazy(`processing excludes list \[.*\]: `), "the pattern of --exclude: "},
	{lazy(`could not parse secrets: `), "--secret: "},
	{lazy(`validating volumes: `), "--volume: "},
	{lazy(`faccessat (/\S*): `), "$1: "},
	{lazy(`storing "/([^"]*)": error creating "[^"]*": error opening file "[^"]*" for writing: open ([^:]*): `), `write $2: `},
	{lazy(`(?s)resolving step \{.*?\}: `), ""},
	{lazy(`(?s)Build error: Unknown instruction: ("[^"]*").*`), "unknown instruction $1"},
	{lazy(`checking on sources under "[^"]*": `), ""},
	{lazy(`Rel: can't make  ?relative to [^;]*; `), ""},
	{lazy(`globs \[([^\]]*)\] matched nothing`), `nothing matches "$1": no such file or directory`},
	{lazy(`generating checksum for directory "[^"]*" in "[^"]*": `), ""},
	{lazy(`sanitizing bind subdirectory ("[^"]*"): .*no such file or directory`), "$1: no such file or directory"},
	{lazy(`^lstat (/\S*): no such file`), `"$1": no such file`},
	{lazy(`(?s)(?:writing copy of image to "[^"]*": copying content for "[^"]*" in base image: |reading archive of base image: )?processing tar file\((.+)\): exit status 1`), "$1"},
	{lazy(`(cloning "[^"]*") to "[^"]*":\n?`), "$1: "},
	{lazy(`(?s)(cloning "[^"]*": ).*(the repository(?:: | takes ).*): failed while performing .*`), "$1$2"},
	{lazy(`reading "/[^"]*": `), ""},
	{lazy(`lstat ("/[^"]*")\("([^"]*)"\): lstat [^:]*: `), `$1 is a link to $2: `},
	{lazy(`[a-z]+=\S+ from=([^:]*): no stage or image found`), `from=$1: no stage or image found`},
	{lazy(`^(?:COPY|ADD) (--from=)`), "$1"},
	{lazy(`(?:looking up UID/GID for "[^"]*": )?determining run uid: user: unknown user error looking up user ("[^"]*")`), "there is no user $1 in the image's /etc/passwd"},
	{lazy(`(?:looking up UID/GID for "[^"]*": )?determining run gid: group: unknown groups? error looking up group ("[^"]*")`), "there is no group $1 in the image's /etc/group"},
	{lazy(`\s+: failed while performing`), ": failed while performing"},
	{lazy(`(?s)&?\b[a-z]\w*\.[A-Z]\w*\{.*\}`), ""},
}

var (
	startLine   = lazy(`StartLine:(\d+)`)
	contextPath = lazy(`/[^\s"']*/buildah-context-\d+/overlay/\d+/merge\b`)
	blanks      = lazy(`\n\s*`)
)

// Reword returns an error of making the options of a build, or of fetching its context, without what is buildah's own. context is
// what the user calls that.
func (s *Session) Reword(err error, context string) error {
	if err == nil {
		return nil
	}
	switch text, _ := s.words(err, &Options{}); {
	case strings.HasPrefix(err.Error(), "prepping temporary context directory: "):
		return unpack.Advise(&retold{fmt.Sprintf("fetch the context %s: %s", context, text), err})
	case strings.HasPrefix(text, "cannot find Containerfile or Dockerfile"):
		return hint.Add(&retold{"there is neither a Containerfile nor a Dockerfile in the context", err}, "name the file with -f")
	default:
		return &retold{text, err}
	}
}

// words are an error's, without what is buildah's own, and the line that it tells, if it does.
func (s *Session) words(err error, o *Options) (text string, line int) {
	return s.reword(err, o, filepath.Dir(s.engine.DataDir()))
}

func (s *Session) reword(err error, o *Options, graphRoot string) (text string, line int) {
	if m := startLine().FindStringSubmatch(err.Error()); m != nil {
		line, _ = strconv.Atoi(m[1]) // digits
	}
	for wrappers().MatchString(err.Error()) {
		inner := errors.Unwrap(err)
		if inner == nil {
			break
		}
		err = telling(inner)
	}
	text = err.Error()
	text = contextPath().ReplaceAllString(text, "")
	text = containerPaths(graphRoot).ReplaceAllString(text, "")
	if o.ContextDirectory != "" {
		text = strings.ReplaceAll(text, o.ContextDirectory+"/", "/")
	}
	for _, r := range rewording {
		text = r.from().ReplaceAllString(text, r.to)
	}
	text = regexp.MustCompile(regexp.QuoteMeta(s.tmp)+`[^\s"':]*`).ReplaceAllString(text, "a temporary directory")
	return strings.Trim(blanks().ReplaceAllString(text, " "), " :"), line
}

// containerPaths matches where the store has mounted a working container.
func containerPaths(graphRoot string) *regexp.Regexp {
	return regexp.MustCompile(regexp.QuoteMeta(graphRoot) + `/(?:overlay|vfs/dir)/[0-9a-f]{64}(?:/merged|/diff)?`)
}

var (
	notFoundInImage = lazy("executable file `([^`]*)` not found|exec: \"([^\"]*)\": .*(?:executable file not found|no such file or directory)")
	notExecutable   = lazy(`(?i)permission denied|exec format error|is a directory`)
)

// explainRuntime says why the OCI runtime did not run a command.
func (s *Session) explainRuntime(told *StepError, runtime string, err error) error {
	if m := notFoundInImage().FindStringSubmatch(runtime); m != nil {
		program := m[1] + m[2]
		told.Err = &retold{fmt.Sprintf("%q is not in the image (exit code %d)", program, told.Code), err}
		if strings.HasSuffix(program, "/sh") || strings.HasSuffix(program, "sh") && !strings.Contains(told.Instruction, program) {
			return hint.Add(told, `the image has no such shell: write RUN ["PROGRAM", "ARGUMENT"], or set another with SHELL`)
		}
		return told
	}
	why := runtime
	if strings.HasPrefix(why, endedBy) {
		told.Err = &retold{fmt.Sprintf("%s (exit code %d)", why, told.Code), err}
		return hint.Add(told, "the kernel kills what takes more memory than there is, or than %s allows", field.Name("memory"))
	}
	if _, rest, ok := strings.Cut(why, "]: "); ok { // from CRUN creating container for [ARGUMENTS]:
		why = rest
	}
	why = strings.TrimSpace(why)
	if notExecutable().MatchString(why) {
		why = "the command cannot be executed: " + why
	}
	told.Err = &retold{fmt.Sprintf("%s (exit code %d)", why, told.Code), err}
	return told
}

// adviseStep adds what the user can do about it.
func (s *Session) adviseStep(ctx context.Context, told *StepError, r *recipe, step Event, o *Options) error {
	text := told.Err.Error()
	word, _, _ := strings.Cut(strings.ToUpper(strings.TrimSpace(told.Instruction)), " ")
	switch {
	case errors.As(told, new(*hint.Error)): // of a pull
	case strings.Contains(text, unpack.ErrRefused.Error()):
		return unpack.Advise(told)
	case strings.Contains(text, "no stage or image found with that name"):
		if len(r.stages) > 1 {
			return hint.Add(told, "%s", r.stageNames())
		}
		return hint.Add(told, "it is neither a stage before this one nor an image in the store or in a registry")
	case word == "FROM" && errors.Is(told, storage.ErrImageUnknown):
		return hint.Add(told, "pull it with: %s, or build without %s=never", hint.To(hint.PullImage, baseWord(told.Instruction)), field.Name("pull"))
	case word == "FROM" && s.images != nil && step.Step == 1:
		return s.images.Explain(ctx, told, baseWord(told.Instruction))
	case (word == "COPY" || word == "ADD") && strings.Contains(text, "is a link to"):
		return hint.Add(told, "a link is followed inside the context only")
	case (word == "COPY" || word == "ADD" || word == "RUN") && strings.Contains(text, "no such file or directory") && !strings.Contains(told.Instruction, "from="):
		return s.adviseMissing(told, text, o)
	}
	return told
}

// baseWord is the image that FROM names.
func baseWord(from string) string {
	for _, w := range strings.Fields(from)[1:] {
		if !strings.HasPrefix(w, "--") {
			return w
		}
	}
	return "IMAGE"
}

var quoted = lazy(`"/?([^"]*)"`)

// adviseMissing says why a file that COPY names is not in the context.
func (s *Session) adviseMissing(told *StepError, text string, o *Options) error {
	m := quoted().FindStringSubmatch(text)
	if m == nil {
		return told
	}
	if strings.Contains(text, "the ignore file leaves it out") {
		return hint.Add(told, "take it in with a last line there: !%s", m[1])
	}
	if _, err := os.Lstat(filepath.Join(o.ContextDirectory, m[1])); errors.Is(err, fs.ErrNotExist) && o.contextName() != "" {
		return hint.Add(told, "paths are looked for in the context, %s", o.contextName())
	}
	return told
}

// contextName is what the user calls the context; empty if it is one that was fetched.
func (o *Options) contextName() string { return o.Names[o.ContextDirectory] }
