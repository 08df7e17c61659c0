// SPDX-License-Identifier: Apache-2.0

package container

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/berth-containers/berth/libctr"
	"github.com/berth-containers/berth/libctr/record"
	"github.com/berth-containers/berth/network"
	"github.com/docker/go-units"
)

// psEntry is one container, with the fields that podman's --format knows.
type psEntry struct {
	c       *libctr.Container
	noTrunc bool
	size    *psSize // nil without --size
}

// psSize is how much a container takes, in bytes.
type psSize struct {
	RootFsSize int64 `json:"rootFsSize"` // with the image's layers
	RwSize     int64 `json:"rwSize"`     // of its own layer
}

func (p psEntry) ID() string {
	if p.noTrunc {
		return p.c.ID
	}
	return p.c.ID[:12]
}
func (p psEntry) Names() string { return p.c.State.Name }
func (p psEntry) Image() string { return p.c.State.ImageName }
func (p psEntry) ImageID() string {
	if p.noTrunc || len(p.c.State.ImageID) < 12 {
		return p.c.State.ImageID
	}
	return p.c.State.ImageID[:12]
}
func (p psEntry) State() string      { return string(p.c.State.Status) }
func (p psEntry) Pid() int           { return p.c.State.Pid }
func (p psEntry) PID() int           { return p.c.State.Pid }
func (p psEntry) Exited() bool       { return p.c.State.Status == record.Exited }
func (p psEntry) ExitCode() int      { return p.c.State.ExitCode }
func (p psEntry) Restarts() uint     { return p.c.State.Restarts }
func (p psEntry) AutoRemove() bool   { return p.c.State.AutoRemove }
func (p psEntry) Networks() string   { return p.c.State.Network }
func (p psEntry) StartedAt() int64   { return p.c.State.StartedAt.Unix() }
func (p psEntry) ExitedAt() int64    { return p.c.State.FinishedAt.Unix() }
func (p psEntry) Created() time.Time { return p.c.State.Created }
func (p psEntry) CreatedAt() string  { return p.c.State.Created.String() }
func (p psEntry) CreatedHuman() string {
	return units.HumanDuration(time.Since(p.c.State.Created)) + " ago"
}
func (p psEntry) RunningFor() string { return units.HumanDuration(time.Since(p.c.State.StartedAt)) }
func (p psEntry) IsInfra() bool      { return false }
func (p psEntry) Pod() string        { return "" }
func (p psEntry) PodName() string    { return "" }

// psContainer is what podman's reporter is made around: the same fields, but for the size, which has fields of its own.
type psContainer struct{ psEntry }

func (p psContainer) Size() *psSize          { return p.size }
func (p psEntry) ListContainer() psContainer { return psContainer{p} }

// config is what the container's creation decided; of a container that is being removed there may be none.
func (p psEntry) config() *record.Config {
	if cfg, err := p.c.Config(); err == nil {
		return cfg
	}
	return &record.Config{}
}

func (p psEntry) CIDFile() string { return p.config().IDFile }
func (p psEntry) ExposedPorts() map[uint16][]string {
	return network.ExposedByNumber(p.config().Exposed)
}

// Mounts are the places of the mounts in the container.
func (p psEntry) Mounts() []string {
	mounts := []string{}
	for _, m := range p.config().Mounts {
		mounts = append(mounts, m.Destination)
	}
	return mounts
}

func (p psEntry) Size() string {
	if p.size == nil {
		return ""
	}
	return fmt.Sprintf("%s (virtual %s)", units.HumanSizeWithPrecision(float64(p.size.RwSize), 3), units.HumanSizeWithPrecision(float64(p.size.RootFsSize), 3))
}

// psNamespaces are the inode numbers of a running container's namespaces.
type psNamespaces struct {
	MNT, Cgroup, IPC, NET, PIDNS, UTS, User string
}

func (p psEntry) Namespaces() psNamespaces {
	return psNamespaces{p.MNT(), p.CGROUPNS(), p.IPC(), p.NET(), p.PIDNS(), p.UTS(), p.USERNS()}
}
func (p psEntry) Cgroup() string { return p.CGROUPNS() }
func (p psEntry) User() string   { return p.USERNS() }

// Labels can be shown whole and asked for one by one: {{.Label "x"}}.
func (p psEntry) Labels() map[string]string { return p.c.State.Labels }
func (p psEntry) Label(name string) string  { return p.c.State.Labels[name] }

func (p psEntry) Command() string {
	s := strings.Join(p.c.State.Command, " ")
	if p.noTrunc || len(s) <= 20 {
		return s
	}
	return s[:17] + "..."
}

func (p psEntry) Status() string {
	s := p.c.State
	switch s.Status {
	case record.Created:
		return "Created"
	case record.Initialized:
		return "Initialized"
	case record.Exited:
		if s.FinishedAt.IsZero() {
			return fmt.Sprintf("Exited (%d)", s.ExitCode)
		}
		return fmt.Sprintf("Exited (%d) %s ago", s.ExitCode, units.HumanDuration(time.Since(s.FinishedAt)))
	}
	up := "Up " + units.HumanDuration(time.Since(s.StartedAt))
	if s.Status == record.Paused {
		return up + " (Paused)"
	}
	if s.Health != nil && s.Health.Status != "" {
		return up + " (" + s.Health.Status + ")"
	}
	return up
}

func (p psEntry) Ports() string { return network.PortColumn(p.c.State.Ports) }

func (p psEntry) namespace(kind string) string {
	if p.c.State.Pid == 0 {
		return ""
	}
	link, err := os.Readlink(fmt.Sprintf("/proc/%d/ns/%s", p.c.State.Pid, kind))
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(strings.TrimPrefix(link, kind+":["), "]")
}
func (p psEntry) CGROUPNS() string { return p.namespace("cgroup") }
func (p psEntry) IPC() string      { return p.namespace("ipc") }
func (p psEntry) MNT() string      { return p.namespace("mnt") }
func (p psEntry) NET() string      { return p.namespace("net") }
func (p psEntry) PIDNS() string    { return p.namespace("pid") }
func (p psEntry) USERNS() string   { return p.namespace("user") }
func (p psEntry) UTS() string      { return p.namespace("uts") }

// psJSON is podman's JSON for one container.
type psJSON struct {
	AutoRemove bool                 `json:"AutoRemove"`
	CIDFile    string               `json:"CIDFile"`
	Command    []string             `json:"Command"`
	CreatedAt  string               `json:"CreatedAt"`
	Exited     bool                 `json:"Exited"`
	ExitedAt   int64                `json:"ExitedAt"`
	ExitCode   int                  `json:"ExitCode"`
	ID         string               `json:"Id"`
	Image      string               `json:"Image"`
	ImageID    string               `json:"ImageID"`
	IsInfra    bool                 `json:"IsInfra"`
	Labels     map[string]string    `json:"Labels"`
	Mounts     []string             `json:"Mounts"`
	Names      []string             `json:"Names"`
	Namespaces map[string]string    `json:"Namespaces"`
	Networks   []string             `json:"Networks"`
	Pid        int                  `json:"Pid"`
	Pod        string               `json:"Pod"`
	PodName    string               `json:"PodName"`
	Ports      []record.PortMapping `json:"Ports"`
	Restarts   uint                 `json:"Restarts"`
	Size       *psSize              `json:"Size"`
	StartedAt  int64                `json:"StartedAt"`
	State      string               `json:"State"`
	Status     string               `json:"Status"`
	Created    int64                `json:"Created"`
}

func (p psEntry) json() psJSON {
	s := p.c.State
	j := psJSON{
		AutoRemove: s.AutoRemove, Command: s.Command, CreatedAt: p.CreatedHuman(), Exited: p.Exited(), ExitedAt: s.FinishedAt.Unix(), ExitCode: s.ExitCode,
		ID: p.c.ID, Image: s.ImageName, ImageID: s.ImageID, Labels: s.Labels, CIDFile: p.CIDFile(), Mounts: p.Mounts(), Size: p.size, Names: []string{s.Name}, Namespaces: map[string]string{},
		Networks: []string{}, Pid: s.Pid, Ports: s.Ports, Restarts: s.Restarts, StartedAt: s.StartedAt.Unix(), State: p.State(), Status: p.Status(), Created: s.Created.Unix(),
	}
	return j
}
