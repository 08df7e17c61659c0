// SPDX-License-Identifier: Apache-2.0

package network

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/berth-containers/berth/internal/hint"
	"github.com/berth-containers/berth/network/conflist"
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
	// Bridge is one network or several that containers share, of any driver: Mode.Networks. The name is podman's.
	Bridge Kind = "bridge"
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
	// Networks are what the container is connected to, in order (Kind Bridge). A container that was disconnected from all has none.
	Networks []Shared
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

const modesHint = "use none, host, private, pasta[:OPTION,…], slirp4netns[:OPTION,…], container:NAME, ns:PATH, bridge or the name of a network (network ls)"

// ParseModes reads the values of --network, which may be several where all are names of networks. None is private.
func ParseModes(values []string) (Mode, error) {
	if len(values) == 0 {
		return ParseMode("")
	}
	m, err := ParseMode(values[0])
	if err != nil {
		return m, err
	}
	for _, v := range values[1:] {
		next, err := ParseMode(v)
		switch {
		case err != nil:
			return m, err
		case m.Kind != Bridge || next.Kind != Bridge:
			return m, hint.Add(fmt.Errorf("cannot set multiple networks without bridge network mode, selected mode %s: invalid argument", m),
				"only networks that containers share can be given together; network ls lists them")
		}
		m.Networks = append(m.Networks, next.Networks...)
	}
	return m, nil
}

// ParseMode reads one value of --network; empty is private. Names of networks may be separated by commas.
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
		n, err := parseShared("", rest)
		return Mode{Kind: Bridge, Networks: []Shared{n}}, err
	}
	if err := conflist.CheckName(word); colon || err == nil {
		if err != nil {
			return Mode{}, hint.Add(err, modesHint)
		}
		n, err := parseShared(word, rest)
		return Mode{Kind: Bridge, Networks: []Shared{n}}, err
	}
	m := Mode{Kind: Bridge}
	for name := range strings.SplitSeq(s, ",") {
		if err := conflist.CheckName(name); err != nil {
			return Mode{}, hint.Add(err, modesHint)
		}
		if name == "bridge" {
			name = ""
		}
		m.Networks = append(m.Networks, Shared{Name: name})
	}
	return m, nil
}
