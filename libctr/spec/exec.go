package spec

import (
	"slices"

	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// SetUser makes a further process of a container, whose first one p describes, run as u. Root gets the
// capabilities of the bounding set; another user none (CVE-2018-10856).
func SetUser(p *specs.Process, u User) {
	p.User.UID, p.User.GID = u.UID, u.GID
	p.User.AdditionalGids = append([]uint32{u.GID}, u.Groups...)
	slices.Sort(p.User.AdditionalGids)
	p.User.AdditionalGids = slices.Compact(p.User.AdditionalGids)
	p.Env = slices.DeleteFunc(p.Env, func(v string) bool { return len(v) >= 5 && v[:5] == "HOME=" })
	if u.Home != "" {
		p.Env = append(p.Env, "HOME="+u.Home)
	}
	if p.Capabilities == nil {
		return
	}
	bounding := p.Capabilities.Bounding
	p.Capabilities = &specs.LinuxCapabilities{Bounding: bounding}
	if u.UID == 0 {
		p.Capabilities.Effective, p.Capabilities.Permitted = bounding, bounding
	}
}

// AllCapabilities is every capability by its name, CAP_….
func AllCapabilities() []string { return slices.Clone(capabilities) }
