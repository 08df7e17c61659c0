// SPDX-License-Identifier: Apache-2.0

package partial

import (
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"
)

// Part is a part that was read: its metadata, its Containerfile and its files. Read-only once made.
type Part struct {
	Meta   *Meta
	Text   string // the Containerfile, with LF line ends
	Files  []File // of files/, sorted by path
	Digest string // of the manifest that Pack writes

	file   string // as errors name it
	cf     *containerfile
	stages []*partStage
}

// File is a file of files/.
type File struct {
	Path       string // below files/, with slashes
	Executable bool   // mode 0755; otherwise 0644
	Data       string
}

// partStage is a stage of a part.
type partStage struct {
	name     string // lower case
	from     *instruction
	image    string
	platform string
	body     []*instruction
	end      int // its last line
}

const (
	maxFile  = 64 << 10
	maxFiles = 256 << 10
)

// NewPart parses and checks a part. file names its Containerfile in errors. The errors are those
// that Lint finds, so what NewPart returns can be composed.
func NewPart(file, text string, files []File) (*Part, error) {
	p := &Part{Text: unixText(text), Files: files, file: file}
	if p.Text != text {
		p.Text = text
		return nil, Errorf("P005", "the Containerfile must be UTF-8 without a byte order mark, with LF line ends and one at its end").at(file, 1)
	}
	if !utf8.ValidString(text) {
		return nil, Errorf("P005", "the Containerfile is not UTF-8").at(file, 1)
	}
	if e := checkControl(text); e != nil {
		return nil, e.at(file, e.Line)
	}
	slices.SortFunc(p.Files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	errs := p.parse()
	if len(errs) == 0 {
		errs = p.lint()
	}
	if len(errs) == 0 {
		pk, err := p.Pack()
		if err != nil {
			return nil, err
		}
		p.Digest = pk.Digest
	}
	for _, e := range errs {
		e.at(file, e.Line)
		e.File = file
	}
	slices.SortStableFunc(errs, func(a, b *Error) int { return a.Line - b.Line })
	return p, joinErrors(errs)
}

// ReadPart reads a part from a folder.
func ReadPart(fsys fs.FS, name string) (*Part, error) {
	text, err := fs.ReadFile(fsys, "Containerfile")
	if err != nil {
		return nil, fmt.Errorf("read part %s: %w", name, err)
	}
	files, err := readFiles(fsys)
	if err != nil {
		return nil, fmt.Errorf("read part %s: %w", name, err)
	}
	return NewPart(path.Join(name, "Containerfile"), string(text), files)
}

func readFiles(fsys fs.FS) ([]File, error) {
	var files []File
	err := fs.WalkDir(fsys, "files", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			if name == "files" {
				return fs.SkipAll // there are none
			}
			return err
		case d.IsDir():
			return nil
		case !d.Type().IsRegular():
			return Errorf("P070", "%s is not a regular file", name)
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if info.Size() > maxFile {
			return Errorf("P070", "%s is larger than 64 KiB; publish it as an image and copy from its digest", name)
		}
		data, err := fs.ReadFile(fsys, name)
		if err != nil {
			return err
		}
		files = append(files, File{Path: strings.TrimPrefix(name, "files/"), Executable: info.Mode()&0o100 != 0, Data: string(data)})
		return nil
	})
	return files, err
}

// parse reads the metadata and the stages.
func (p *Part) parse() []*Error {
	yamlText, offset, e := findMeta(splitLines(p.Text))
	if e != nil {
		return []*Error{e}
	}
	var errs []*Error
	if p.Meta, errs = ParseMeta(yamlText, offset); len(errs) > 0 {
		return errs
	}
	cf, err := parseContainerfile(p.file, p.Text, "P005")
	if err != nil {
		return []*Error{asError(err)}
	}
	p.cf = cf
	for i := range cf.instrs {
		in := &cf.instrs[i]
		if in.cmd == "FROM" {
			s := &partStage{from: in}
			if s.image, s.name, s.platform, err = in.from(); err != nil {
				return []*Error{Errorf("P005", "%v", err).at("", in.start)}
			}
			p.stages = append(p.stages, s)
		} else if len(p.stages) > 0 {
			s := p.stages[len(p.stages)-1]
			s.body = append(s.body, in)
		}
		if len(p.stages) > 0 {
			p.stages[len(p.stages)-1].end = in.end
		}
	}
	return nil
}

// stage returns the stage of that name, or nil.
func (p *Part) stage(name string) *partStage {
	for _, s := range p.stages {
		if s.name == name {
			return s
		}
	}
	return nil
}

// variant returns the stage for a role on an operating system: install.alpine before install.
func (p *Part) variant(role string, os *OSRelease) *partStage {
	for _, v := range os.variants() {
		if s := p.stage(role + "." + v); s != nil {
			return s
		}
	}
	return p.stage(role)
}

// isRole reports whether a stage is one with a meaning, base and files apart.
func isRole(stage string) bool {
	role, _, _ := strings.Cut(stage, ".")
	return role == "install" || role == "dev" || role == "finish"
}

var filePath = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9._@+/-]+$`) })

func (p *Part) lintFiles() []*Error {
	var errs []*Error
	total := 0
	names := alike{}
	for _, f := range p.Files {
		name := "files/" + f.Path
		total += len(f.Data)
		other := names.add(f.Path)
		switch {
		case !filePath().MatchString(f.Path) || path.Clean("/"+f.Path) != "/"+f.Path:
			errs = append(errs, Errorf("P070", "%s: the path has other characters than letters, digits and ._@+-", name))
		case other != "":
			errs = append(errs, Errorf("P070", "%s and files/%s are one on file systems that do not tell capital letters from small ones; rename one", name, other))
		case strings.Contains(f.Path+"/", "./"):
			errs = append(errs, Errorf("P070", "%s: a name ends with a dot, which some file systems leave out", name))
		case f.Data == "":
			errs = append(errs, Errorf("P070", "%s is empty; an empty file cannot travel as a heredoc", name))
		case !utf8.ValidString(f.Data) || strings.ContainsRune(f.Data, 0):
			errs = append(errs, Errorf("P070", "%s is not text; publish it as an image and copy from its digest", name))
		case strings.ContainsRune(f.Data, '\r'):
			errs = append(errs, Errorf("P070", "%s has CR line ends; files of a part have LF", name))
		case !strings.HasSuffix(f.Data, "\n"):
			errs = append(errs, Errorf("P070", "%s has no line end at its end", name))
		case len(f.Data) > maxFile:
			errs = append(errs, Errorf("P070", "%s is larger than 64 KiB; publish it as an image and copy from its digest", name))
		}
	}
	if total > maxFiles {
		errs = append(errs, Errorf("P070", "files/ is larger than 256 KiB; publish it as an image and copy from its digest"))
	}
	return errs
}

// alike has the paths and directories of files as they are written, by what they are on file systems that do not tell capital letters from small
// ones. Other letters than ASCII's, and blanks, are in no path.
type alike map[string]string

// add returns what is written otherwise, and would be the same; empty if nothing is.
func (a alike) add(name string) string {
	for ; name != "." && name != "/"; name = path.Dir(name) {
		key := strings.ToLower(name)
		if other, ok := a[key]; ok && other != name {
			return other
		}
		a[key] = name
	}
	return ""
}

// HasMetadata reports whether a Containerfile is a part's.
func HasMetadata(text string) bool {
	return slices.Contains(splitLines(unixText(text)), fenceOpen)
}

// Runs are the RUN instructions of the part as they are written, its packages apart.
func (p *Part) Runs() []string {
	var out []string
	for _, s := range p.stages {
		for _, in := range s.body {
			if in.cmd == "RUN" {
				out = append(out, p.cf.text(in))
			}
		}
	}
	return out
}

// StageFor is the name of the stage that a role takes on an operating system; "" if there is none.
func (p *Part) StageFor(role string, os *OSRelease) string {
	if s := p.variant(role, os); s != nil {
		return s.name
	}
	return ""
}

// DefaultBase is the default of ARG BASE; "" if it has none.
func (p *Part) DefaultBase() string {
	for i := range p.cf.instrs {
		in := &p.cf.instrs[i]
		if in.cmd != "ARG" {
			break
		}
		if v, ok := strings.CutPrefix(in.args[0], "BASE="); ok {
			return strings.Trim(v, `"'`)
		}
	}
	return ""
}

// CheckWith is the part's check with the values of its parameters; nil if it has none.
func (p *Part) CheckWith(values map[string]string) (*Check, error) {
	if p.Meta.Check == nil {
		return nil, nil
	}
	c := &Check{}
	for _, a := range p.Meta.Check.Argv {
		v, err := p.Meta.expand(a, values)
		if err != nil {
			return nil, err
		}
		c.Argv = append(c.Argv, v)
	}
	quoted := map[string]string{}
	for k, v := range values {
		quoted[k] = regexp.QuoteMeta(v)
	}
	var err error
	c.Match, err = p.Meta.expand(p.Meta.Check.Match, quoted)
	return c, err
}

// ExecForm writes words as a JSON list, as RUN and CMD take it.
func ExecForm(words []string) string { return jsonWords(words) }
