// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/berth-containers/berth/cmd/berth/internal/console"
	"github.com/berth-containers/berth/internal/hint"
	"github.com/sirupsen/logrus"
)

// lineHandler writes a log record as one line, or a paragraph: Level: message key=value.
type lineHandler struct {
	w     io.Writer
	level slog.Level
	attrs []slog.Attr
}

func (h *lineHandler) Enabled(_ context.Context, l slog.Level) bool { return l >= h.level }

func (h *lineHandler) Handle(_ context.Context, r slog.Record) error {
	var b strings.Builder
	message, attrs, advice := r.Message, "", ""
	add := func(a slog.Attr) bool {
		switch v := a.Value.Any().(type) {
		case hint.Command:
			advice += see(v)
		case error:
			if v.Error() == r.Message { // the message, with fields in it
				message = ErrorText(v)
			} else {
				attrs += fmt.Sprintf(" %s=%s", a.Key, ErrorText(v))
			}
		default:
			attrs += fmt.Sprintf(" %s=%v", a.Key, a.Value)
		}
		return true
	}
	for _, a := range h.attrs {
		add(a)
	}
	r.Attrs(add)
	b.WriteString(levelWord(r.Level.String()) + ": " + message + attrs + advice)
	_, err := io.WriteString(h.w, console.Paragraph(b.String())+"\n")
	return err
}

func (h *lineHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	c := *h
	c.attrs = append(append([]slog.Attr(nil), h.attrs...), attrs...)
	return &c
}

func (h *lineHandler) WithGroup(string) slog.Handler { return h }

// lineFormatter gives logrus, which the container libraries use, the same look.
type lineFormatter struct{}

func (lineFormatter) Format(e *logrus.Entry) ([]byte, error) {
	var b strings.Builder
	b.WriteString(levelWord(e.Level.String()) + ": " + strings.TrimSpace(e.Message))
	for k, v := range e.Data {
		fmt.Fprintf(&b, " %s=%v", k, v)
	}
	return []byte(console.Paragraph(b.String()) + "\n"), nil
}

func levelWord(s string) string {
	switch strings.ToLower(s) {
	case "warn", "warning":
		return "Warning"
	case "debug", "trace":
		return "Debug"
	case "info":
		return "Info"
	}
	return "Error"
}

func parseLevel(s string) (slog.Level, error) {
	switch strings.ToLower(s) {
	case "trace", "debug":
		return slog.LevelDebug, nil
	case "info":
		return slog.LevelInfo, nil
	case "warn", "warning":
		return slog.LevelWarn, nil
	case "error", "fatal", "panic":
		return slog.LevelError, nil
	}
	return 0, fmt.Errorf("--log-level %q: must be debug, info, warn, error, fatal or panic", s)
}

// setUpLogging sends the engine's log (slog) and the container libraries' (logrus) to w as lines
// "level: message key=value".
func setUpLogging(w io.Writer, level slog.Level) {
	slog.SetDefault(slog.New(&lineHandler{w: w, level: level}))
	logrus.SetOutput(w)
	logrus.SetFormatter(lineFormatter{})
	switch level {
	case slog.LevelDebug:
		logrus.SetLevel(logrus.DebugLevel)
	case slog.LevelInfo:
		logrus.SetLevel(logrus.InfoLevel)
	case slog.LevelWarn:
		logrus.SetLevel(logrus.WarnLevel)
	default:
		logrus.SetLevel(logrus.ErrorLevel)
	}
}
