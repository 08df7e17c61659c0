// SPDX-License-Identifier: Apache-2.0

package network

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/berth-containers/berth/internal/hint"
)

// Kind is a way to connect a container.
type Kind string

// The kinds. Private and the empty Kind ask for the default: a namespace of the
// container's own, connected by the best helper that is installed.
const (
	None        Kind = "none"
	Host        Kind = "host"
	Container   Kind = "container"
	NS          Kind = "ns"
	Private     Kind = "private"
	Pasta       Kind = "pasta"
	Slirp4netns Kind = "slirp4netns"
)

// Mode is a parsed --network.
type Mode struct {
	Kind Kind
	// Container is the other container's name or ID as the user gave it (Kind Container).
	Container string
	// Path is the network namespace's path, absolute (Kind NS).
	Path string
	// Options are the words behind "pasta:" or "slirp4netns:", in order.
	Options []string
}

// String gives the mode as attach.Network keeps it, without options.
func (m Mode) String() string {
	switch m.Kind {
	case Container:
		return "container:" + m.Container
	case NS:
		return "ns:" + m.Path
	}
	return string(m.Kind)
}

const modesHint = "use none, host, private, pasta[:OPTION,…], slirp4netns[:OPTION,…], container:NAME or ns:PATH"

// ParseMode reads the value of --network; empty is private.
func ParseMode(s string) (Mode, error) {
	word, rest, colon := strings.Cut(s, ":")
	switch word {
	case "", "default", "private":
		if colon {
			return Mode{}, hint.Add(fmt.Errorf("network %q: %s takes no options", s, word), modesHint)
		}
		return Mode{Kind: Private}, nil
	case "none", "host":
		if colon {
			return Mode{}, hint.Add(fmt.Errorf("network %q: %s takes no options", s, word), modesHint)
		}
		return Mode{Kind: Kind(word)}, nil
	case "container":
		if rest == "" {
			return Mode{}, hint.Add(fmt.Errorf("network %q names no container", s), "use container:NAME or container:ID")
		}
		return Mode{Kind: Container, Container: rest}, nil
	case "ns":
		if !filepath.IsAbs(rest) {
			return Mode{}, hint.Add(fmt.Errorf("network %q: the namespace's path must be absolute", s), "use ns:/proc/PID/ns/net or ns:/run/netns/NAME")
		}
		return Mode{Kind: NS, Path: filepath.Clean(rest)}, nil
	case "pasta", "slirp4netns":
		m := Mode{Kind: Kind(word)}
		if rest != "" {
			m.Options = strings.Split(rest, ",")
		}
		return m, nil
	case "bridge":
		return Mode{}, hint.Add(fmt.Errorf("network %q: this version of Berth has no bridge networks", s), modesHint)
	}
	return Mode{}, hint.Add(fmt.Errorf("unknown network %q", s), modesHint)
}
