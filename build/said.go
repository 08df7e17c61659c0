// SPDX-License-Identifier: Apache-2.0

package build

import (
	"strconv"
	"strings"
)

// What buildah says besides its progress: log lines, and what its child says of an OCI runtime that fails.

var (
	logLine     = lazy(`^time="[^"]*" level=([a-z]+) msg=("(?:[^"\\]|\\.)*"|\S+)`)
	missingArg  = lazy(`^missing "([^"]+)" build argument`)
	unusedArgs  = lazy(`^\[Warning\] one or more build args were not consumed: \[(.*)\]$`)
	formatWords = lazy(`^(HEALTHCHECK|SHELL|ONBUILD) is not (supported|persisted)`)
)

// predefined are the arguments that a build has without being given them. Buildah knows half of them.
const predefined = " BUILDPLATFORM BUILDOS BUILDARCH BUILDVARIANT TARGETPLATFORM TARGETOS TARGETARCH TARGETVARIANT "

// logged reports whether a line is one of buildah's log, and what of it is worth telling: nothing if Berth says it itself (which
// format keeps what), or says it better (an error that the build ends with).
func logged(line string) (warning string, ok bool) {
	if m := unusedArgs().FindStringSubmatch(line); m != nil {
		return "no ARG takes the --build-arg " + strings.ReplaceAll(m[1], " ", ", "), true
	}
	m := logLine().FindStringSubmatch(line)
	if m == nil {
		return "", false
	}
	text, err := strconv.Unquote(m[2])
	if err != nil {
		text = m[2]
	}
	if m[1] != "warning" || formatWords().MatchString(text) {
		return "", true
	}
	if m := missingArg().FindStringSubmatch(text); m != nil {
		if strings.Contains(predefined, " "+m[1]+" ") {
			return "", true
		}
		return "ARG " + m[1] + " has no value: give it one with --build-arg " + m[1] + "=VALUE", true
	}
	return text, true
}

// warn tells a warning, unless it has been told.
func (t *tracker) warn(text string) {
	if text == "" || t.warned[text] {
		return
	}
	t.warned[text] = true
	t.emit(Event{}, Warning, text, "")
}

// endedBy stands before the name of the signal that ended a command.
const endedBy = "ended by a signal: "

// runtimeFailed keeps what buildah's child says of an OCI runtime that could not run a command: lines that end with the
// runtime's exit status.
func (s *stageState) runtimeFailed(line string) bool {
	const begins, ends = "error running container: from ", ": exit status "
	if by, signaled := strings.CutPrefix(line, "container exited on "); signaled && !strings.Contains(by, " ") {
		s.failed = append(s.failed, endedBy+by)
		return true
	}
	text, first := strings.CutPrefix(line, begins)
	if !first && !s.saying {
		return false
	}
	s.saying = !strings.Contains(line, ends)
	text, _, _ = strings.Cut(text, ends)
	if text != "" {
		s.failed = append(s.failed, text)
	}
	return true
}

// tell tells of something that is no step's.
func (t *tracker) tell(k Kind, text, image string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.emit(Event{}, k, text, image)
}

// say tells a line.
func (t *tracker) say(line string) { t.tell(Output, line, "") }
