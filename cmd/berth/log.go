// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"

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
	b.WriteString(levelWord(r.Level.String()) + ": " + r.Message)
	add := func(a slog.Attr) bool {
		fmt.Fprintf(&b, " %s=%v", a.Key, a.Value)
		return true
	}
	for _, a := range h.attrs {
		add(a)
	}
	r.Attrs(add)
	_, err := io.WriteString(h.w, paragraph(b.String())+"\n")
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
	return []byte(paragraph(b.String()) + "\n"), nil
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
