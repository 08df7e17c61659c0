// SPDX-License-Identifier: Apache-2.0

package rewrite

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	bkshell "github.com/moby/buildkit/frontend/dockerfile/shell"
	"github.com/openshift/imagebuilder"
	"github.com/openshift/imagebuilder/dockerfile/parser"
)

// expose writes out ranges of ports, which buildah keeps as one word, and refuses what is no port.
func (r *rewriter) expose(n *parser.Node, word string) (string, error) {
	var ports []string
	changed := false
	for w := n.Next; w != nil; w = w.Next {
		words, known, err := r.expand(w.Value)
		if err != nil {
			return "", err
		}
		if !known {
			ports = append(ports, w.Value)
			continue
		}
		var all []string
		for _, p := range words {
			each, err := portRange(p)
			if err != nil {
				return "", err
			}
			all = append(all, each...)
		}
		// A plain port stays as it is written: that is how earlier builds are known in the cache.
		if len(all) == 1 && (all[0] == words[0] || all[0] == words[0]+"/tcp") {
			all = []string{w.Value}
		}
		changed = changed || len(all) != 1 || all[0] != w.Value
		ports = append(ports, all...)
	}
	if !changed {
		return n.Original, nil
	}
	return word + " " + strings.Join(ports, " "), nil
}

// portRange reads [[IP:]PORTS:]PORT[-PORT][/PROTOCOL], of which an image keeps the last.
func portRange(spec string) ([]string, error) {
	host, port := "", spec
	if i := strings.LastIndex(spec, ":"); i >= 0 {
		host, port = spec[:i], spec[i+1:]
	}
	ports, proto, _ := strings.Cut(port, "/")
	if proto = strings.ToLower(proto); proto == "" {
		proto = "tcp"
	}
	if proto != "tcp" && proto != "udp" && proto != "sctp" {
		return nil, fmt.Errorf("port %q: the protocol is %q: must be tcp, udp or sctp", spec, proto)
	}
	if i := strings.LastIndex(host, ":"); i >= 0 {
		if _, err := netip.ParseAddr(strings.Trim(host[:i], "[]")); err != nil {
			return nil, fmt.Errorf("port %q: %q is no IP address", spec, host[:i])
		}
		host = host[i+1:]
	}
	first, last, err := bounds(ports)
	if err != nil {
		return nil, fmt.Errorf("port %q: %w", spec, err)
	}
	if host != "" {
		from, to, err := bounds(host)
		if err != nil {
			return nil, fmt.Errorf("port %q: %w", spec, err)
		}
		if to-from != last-first && first != last {
			return nil, fmt.Errorf("port %q: the ranges %s and %s differ in length", spec, host, ports)
		}
	}
	var all []string
	for p := first; p <= last; p++ {
		all = append(all, strconv.Itoa(p)+"/"+proto)
	}
	return all, nil
}

func bounds(ports string) (first, last int, err error) {
	a, b, isRange := strings.Cut(ports, "-")
	if !isRange {
		b = a
	}
	for _, w := range []struct {
		text string
		n    *int
	}{{a, &first}, {b, &last}} {
		if *w.n, err = strconv.Atoi(w.text); err != nil || *w.n < 0 || *w.n > 65535 {
			return 0, 0, fmt.Errorf("%q is no port from 0 to 65535", w.text)
		}
	}
	if last < first {
		return 0, 0, errors.New("the range ends before it begins")
	}
	return first, last, nil
}

// environment is what is known of variables at an instruction. The base image's are not.
type environment map[string]string

// Get implements what buildkit's shell asks for.
func (e environment) Get(name string) (string, bool) { v, ok := e[name]; return v, ok }

// Keys implements it too.
func (e environment) Keys() []string { return nil }

// expand replaces variables, as far as the Containerfile itself says what they are.
func (r *rewriter) expand(word string) (words []string, known bool, err error) {
	return expandIn(r.env(), word)
}

func expandIn(env environment, word string) (words []string, known bool, err error) {
	if !strings.ContainsAny(word, `$"'\`) {
		return []string{word}, true, nil
	}
	res, err := bkshell.NewLex('\\').ProcessWordWithMatches(word, env)
	if err != nil || len(res.Unmatched) > 0 {
		return nil, false, nil // for buildah to say so, or to know from the image
	}
	var list []string
	for k, v := range env {
		list = append(list, k+"="+v)
	}
	words, err = imagebuilder.ProcessWords(word, list)
	return words, err == nil, nil
}

func (r *rewriter) env() environment {
	if r.at < 0 || r.at >= len(r.envs) {
		return r.global
	}
	return r.envs[r.at]
}

// remember keeps what ARG and ENV set.
func (r *rewriter) remember(n *parser.Node) {
	env := r.env()
	value := func(word string) (string, bool) {
		res, err := bkshell.NewLex('\\').ProcessWordWithMatches(word, env)
		return res.Result, err == nil && len(res.Unmatched) == 0
	}
	if strings.EqualFold(n.Value, "env") {
		for w := n.Next; w != nil && w.Next != nil; w = w.Next.Next {
			if v, ok := value(w.Next.Value); ok {
				env[w.Value] = v
			} else {
				delete(env, w.Value)
			}
		}
		return
	}
	for w := n.Next; w != nil; w = w.Next {
		name, preset, has := strings.Cut(w.Value, "=")
		if given, ok := r.Args[name]; ok {
			env[name] = given
			continue
		}
		if v, ok := value(preset); has && ok {
			env[name] = v
		} else if v, ok := r.global[name]; !has && ok {
			env[name] = v
		} else {
			delete(env, name)
		}
	}
}
