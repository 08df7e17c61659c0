// SPDX-License-Identifier: Apache-2.0

package partial

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// helper makes sure that a helper stage of the block's part stands in the composed file, before
// the stage that is being written, and returns its name. Equal ones are written once.
func (m *maker) helper(ctx context.Context, c *stageCtx, b *block, name string) (string, error) {
	h, err := m.helperStage(ctx, c, b, name)
	if err != nil {
		return "", err
	}
	return h.name, nil
}

func (m *maker) helperStage(ctx context.Context, c *stageCtx, b *block, name string) (*stageCtx, error) {
	if name == "files" {
		return m.carrier(b), nil
	}
	s := b.part.stage(name)
	h := &stageCtx{key: "build:" + b.name(), platform: s.platform, base: c.base, ref: c.ref, plan: map[*Use][]*block{}, have: map[string]*block{},
		owners: map[string]string{}, setBy: map[string]setVar{}}
	root := true
	switch other := b.part.stage(s.image); {
	case s.image == "base":
		h.from, h.start = c.from, c.start.child()
		if h.platform == "" {
			h.platform = c.platform
		}
	case s.image == "scratch":
		h.from, h.start, h.base, h.ref, root = "scratch", newState(nil), nil, "scratch", false
	case other != nil:
		parent, err := m.helperStage(ctx, c, b, s.image)
		if err != nil {
			return nil, err
		}
		h.from, h.start, h.base, h.ref, root = parent.name, parent.st.child(), parent.base, parent.ref, false
	default:
		if err := m.foreignBase(ctx, b, s, h); err != nil {
			return nil, err
		}
	}
	key := strings.Join(append([]string{b.name(), b.part.Meta.Version, b.part.Digest, name, h.from, h.platform}, flat(b.values)...), "\x00")
	if have := m.helpers[key]; have != nil {
		return have, nil
	}
	m.helpers[key] = h
	h.name = m.stageName("p-" + leaf(b.name()) + "-" + name)
	h.st = h.start.clone()
	from := "FROM "
	if h.platform != "" {
		from += "--platform=" + h.platform + " "
	}
	h.out = append(h.out, comment("# >>> %s %s %s (stage %s)", b.name(), b.part.Meta.Version, b.part.Digest, name),
		item{text: from + h.from + " AS " + h.name, cmd: "FROM"})
	if root {
		if err := m.buildRequires(ctx, h, b); err != nil {
			return nil, err
		}
	}
	body, err := m.body(ctx, h, b, s)
	if err != nil {
		return nil, err
	}
	m.out = append(m.out, h.out...)
	m.out = append(m.out, body...)
	m.out = append(m.out, comment("# <<< %s", b.name()))
	return h, nil
}

// foreignBase makes an image of the part's own choice the base of a helper stage. Its facts are
// only asked for where something depends on them.
func (m *maker) foreignBase(ctx context.Context, b *block, s *partStage, h *stageCtx) error {
	ref, err := b.part.image(s.image, b.values)
	if err != nil {
		return Errorf("P009", "%s: %v", b.name(), err)
	}
	h.ref, h.base, h.start = ref, nil, newState(nil)
	if len(declaredArgs(s, len(s.body))) > 0 || len(m.needs(b.name(), h.key, true)) > 0 {
		if h.base, err = m.base(ctx, ref); err != nil {
			return err
		}
		h.start = newState(h.base)
	}
	h.from, err = m.pin(ctx, ref)
	return err
}

// buildRequires puts what the part needs for building into its helper stage.
func (m *maker) buildRequires(ctx context.Context, h *stageCtx, b *block) error {
	for _, dep := range m.needs(b.name(), h.key, true) {
		if err := m.place(h, nil, 0, dep, "dev", b.name()); err != nil {
			return err
		}
	}
	for _, d := range h.order {
		if err := m.renderBlock(ctx, h, d); err != nil {
			return err
		}
	}
	return nil
}

// stageName makes a name unique among the stages.
func (m *maker) stageName(name string) string {
	unique := name
	for n := 2; m.taken[unique]; n++ {
		unique = name + "-" + strconv.Itoa(n)
	}
	m.taken[unique] = true
	return unique
}

// carrier writes the stage that holds a part's files as heredocs.
func (m *maker) carrier(b *block) *stageCtx {
	key := b.name() + "\x00" + b.part.Digest + "\x00files"
	if have := m.helpers[key]; have != nil {
		return have
	}
	h := &stageCtx{name: m.stageName("p-" + leaf(b.name()) + "-files"), from: "scratch", ref: "scratch", start: newState(nil), st: newState(nil)}
	m.helpers[key] = h
	m.out = append(m.out, comment("# >>> %s %s %s (stage files)", b.name(), b.part.Meta.Version, b.part.Digest),
		item{text: "FROM scratch AS " + h.name, cmd: "FROM"})
	for _, f := range b.part.Files {
		mode := "0644"
		if f.Executable {
			mode = "0755"
		}
		m.out = append(m.out, heredocCopy(mode, "/"+f.Path, f.Data))
	}
	m.out = append(m.out, comment("# <<< %s", b.name()))
	return h
}

// heredocCopy is a COPY of a quoted heredoc: nothing in it is expanded. data ends with a line end.
func heredocCopy(mode, dest, data string) item {
	end := "PARTIAL_EOF"
	for n := 2; strings.Contains("\n"+data, "\n"+end+"\n"); n++ {
		end = fmt.Sprintf("PARTIAL_EOF_%d", n)
	}
	return item{text: fmt.Sprintf("COPY --chmod=%s <<\"%s\" %s\n%s%s", mode, end, dest, data, end), cmd: "COPY"}
}
