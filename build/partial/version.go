package partial

import (
	"regexp"
	"strings"
	"sync"

	"github.com/Masterminds/semver/v3"
)

// Range is a set of versions: comparisons joined by "," (and) and "||" (or), or one digest. Its
// zero value holds every version. A prerelease is in a range only if the range names one.
type Range struct {
	text   string
	digest string // sha256:…; then text is empty
	c      *semver.Constraints
}

// ParseRange reads ^1.2, >=1.3,<2, "^1 || ^2", a bare version (which is taken as =), or sha256:….
func ParseRange(s string) (Range, error) {
	s = strings.TrimSpace(s)
	if s == "" || s == "*" {
		return Range{}, nil
	}
	if strings.HasPrefix(s, "sha256:") {
		if !isDigest(s) {
			return Range{}, Errorf("P003", "%q is not a digest: sha256: and 64 hexadecimal digits", s)
		}
		return Range{digest: s}, nil
	}
	c, err := semver.NewConstraint(s)
	if err != nil {
		return Range{}, Errorf("P003", "%q is not a range of versions; write ^1.2, ~1.2.3, >=1,<3 or =1.2.3, with || for or", s)
	}
	return Range{text: s, c: c}, nil
}

func (r Range) String() string {
	if r.digest != "" {
		return r.digest
	}
	return r.text
}

// Digest returns the digest if the range is one.
func (r Range) Digest() string { return r.digest }

// Has tells whether the range holds version, which is the form of semver 2.
func (r Range) Has(version string) bool {
	if r.digest != "" {
		return false
	}
	v, err := semver.StrictNewVersion(version)
	if err != nil {
		return false
	}
	if r.c == nil {
		return v.Prerelease() == ""
	}
	return r.c.Check(v)
}

var digestRE = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^sha256:[0-9a-f]{64}$`) })

func isDigest(s string) bool { return digestRE().MatchString(s) }

// checkVersion wants strict semver 2 without build metadata, which is not legal in a tag.
func checkVersion(s string) *Error {
	if v, err := semver.StrictNewVersion(s); err != nil || v.Metadata() != "" {
		return Errorf("P004", "version %q is not MAJOR.MINOR.PATCH (no leading v, no +build)", s)
	}
	return nil
}

// compareDotted compares versions such as VERSION_ID's: fields of digits as numbers, others as
// text; 3.20 is less than 3.20.1.
func compareDotted(a, b string) int {
	x, y := strings.Split(a, "."), strings.Split(b, ".")
	for i := range max(len(x), len(y)) {
		if i >= len(x) {
			return -1
		}
		if i >= len(y) {
			return 1
		}
		if c := compareField(x[i], y[i]); c != 0 {
			return c
		}
	}
	return 0
}

func compareField(a, b string) int {
	if isDigits(a) && isDigits(b) {
		a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
		if len(a) != len(b) {
			return len(a) - len(b)
		}
	}
	return strings.Compare(a, b)
}

func isDigits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}
