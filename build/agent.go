// SPDX-License-Identifier: Apache-2.0

package build

import (
	"errors"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strconv"
	"sync"

	"go.podman.io/buildah/define"
	"go.podman.io/buildah/pkg/parse"
	"go.podman.io/buildah/pkg/sshagent"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"

	"github.com/berth-containers/berth/internal/field"
)

// agents stand between the agents and keys of --ssh and what RUN gets of them. RUN can ask which keys there are, and have
// something signed. buildah (1.44) also passes on what unlocks an agent, and takes anything of a key's agent.
type agents struct {
	mu     sync.Mutex
	closed bool
	open   map[io.Closer]bool // listeners and connections
}

// limitAgents puts one in front of each source of --ssh. They serve until they are closed.
func (s *Session) limitAgents(b *define.BuildOptions) error {
	sources, err := parse.SSH(b.CommonBuildOpts.SSHSources)
	if err != nil {
		return field.Errorf("%s: %w", field.Name("ssh"), err)
	}
	s.agents = &agents{open: map[io.Closer]bool{}}
	b.CommonBuildOpts.SSHSources = nil
	for id, source := range sources {
		if source.Socket != "" { // the one that is there now
			fd, err := s.open(source.Socket)
			if err != nil {
				return field.Errorf("%s %s: %w", field.Name("ssh"), id, err)
			}
			source.Socket = "/proc/self/fd/" + strconv.Itoa(fd)
		}
		connect, err := connector(source)
		if err != nil {
			return field.Errorf("%s %s: %w", field.Name("ssh"), id, err)
		}
		// In a directory that nobody else can enter.
		path := filepath.Join(s.run, fmt.Sprintf("a%d", len(b.CommonBuildOpts.SSHSources)))
		listener, err := net.Listen("unix", path)
		if err != nil {
			return field.Errorf("%s %s: %w", field.Name("ssh"), id, err)
		}
		s.agents.add(listener)
		go s.agents.serve(listener, connect)
		b.CommonBuildOpts.SSHSources = append(b.CommonBuildOpts.SSHSources, id+"="+path)
	}
	return nil
}

// connector returns what connects with a source: the agent, and what is to be closed afterwards, if there is anything.
func connector(source *sshagent.Source) (func() (agent.ExtendedAgent, io.Closer, error), error) {
	if source.Socket != "" {
		return func() (agent.ExtendedAgent, io.Closer, error) {
			conn, err := net.Dial("unix", source.Socket)
			if err != nil {
				return nil, nil, err
			}
			return agent.NewClient(conn), conn, nil
		}, nil
	}
	ring, ok := agent.NewKeyring().(agent.ExtendedAgent)
	if !ok {
		return nil, errors.New("keys cannot be kept in memory")
	}
	for _, key := range source.Keys {
		if err := ring.Add(agent.AddedKey{PrivateKey: key}); err != nil {
			return nil, err
		}
	}
	return func() (agent.ExtendedAgent, io.Closer, error) { return ring, nil, nil }, nil
}

func (a *agents) serve(listener net.Listener, connect func() (agent.ExtendedAgent, io.Closer, error)) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return // it is closed
		}
		go func() {
			defer conn.Close()
			if !a.add(conn) {
				return
			}
			defer a.remove(conn)
			to, closer, err := connect()
			if err != nil {
				return // the client sees the connection end
			}
			if closer != nil {
				defer closer.Close()
			}
			_ = agent.ServeAgent(signOnly{to}, conn) // it ends with an error always
		}()
	}
}

// add keeps what is to be closed in the end; it returns false where the end has come.
func (a *agents) add(c io.Closer) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.closed {
		a.open[c] = true
	}
	return !a.closed
}

func (a *agents) remove(c io.Closer) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.open, c)
}

// Close ends them all.
func (a *agents) Close() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closed = true
	var errs []error
	for c := range a.open {
		if err := c.Close(); !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// signOnly is an agent that lists its keys and signs.
type signOnly struct{ to agent.ExtendedAgent }

var errSignOnly = errors.New("a build can only list the keys of its agent, and have it sign")

func (s signOnly) List() ([]*agent.Key, error) { return s.to.List() }

func (s signOnly) Sign(key ssh.PublicKey, data []byte) (*ssh.Signature, error) {
	return s.to.Sign(key, data)
}

func (s signOnly) SignWithFlags(key ssh.PublicKey, data []byte, flags agent.SignatureFlags) (*ssh.Signature, error) {
	return s.to.SignWithFlags(key, data, flags)
}

func (s signOnly) Add(agent.AddedKey) error                 { return errSignOnly }
func (s signOnly) Remove(ssh.PublicKey) error               { return errSignOnly }
func (s signOnly) RemoveAll() error                         { return errSignOnly }
func (s signOnly) Lock([]byte) error                        { return errSignOnly }
func (s signOnly) Unlock([]byte) error                      { return errSignOnly }
func (s signOnly) Signers() ([]ssh.Signer, error)           { return nil, errSignOnly }
func (s signOnly) Extension(string, []byte) ([]byte, error) { return nil, errSignOnly }
