// SPDX-License-Identifier: Apache-2.0

package keeper

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/berth-containers/berth/internal/thread"
	"github.com/berth-containers/berth/network/udprelay"
)

// The server of a published port sees the client's address: the keeper's socket towards the container has it (IP_TRANSPARENT). What the container
// answers is routed to the client, through the bridge, and has to be delivered to that socket instead. The socket marks its packets, so their connection
// is marked, so the answers are, and a rule routes what has the answers' mark to this host. The two marks differ: the socket's own packets are no answers.
const (
	sentMark    = 0x62725301
	answerMark  = 0x62725302
	answerTable = 0x6272
	tableName   = "berth-keeper"
)

// keeps says of which clients the addresses can be kept, and why not of others.
type keeps struct {
	four, six bool
	why       string // empty if all is well
}

// keepSources prepares this thread's network namespace.
func keepSources() (k keeps) {
	if err := markAnswers(); err != nil {
		k.why = err.Error()
		return k
	}
	four := routeAnswers(netlink.FAMILY_V4, "0.0.0.0/0", netip.AddrFrom4([4]byte{192, 0, 2, 1}))
	six := routeAnswers(netlink.FAMILY_V6, "::/0", netip.MustParseAddr("2001:db8::1"))
	k.four, k.six = four == nil, six == nil
	if _, err := os.Stat("/proc/self/net/if_inet6"); err != nil {
		six = nil // there is no IPv6 at all
	}
	if err := errors.Join(four, six); err != nil {
		k.why = oneLine(err)
	}
	return k
}

func markAnswers() error {
	c, err := nftables.New(nftables.AsLasting()) // closing it takes the kernel some 10 ms: it stays
	if err != nil {
		return fmt.Errorf("mark answers to clients: %w", err)
	}
	table := &nftables.Table{Family: nftables.TableFamilyINet, Name: tableName}
	c.AddTable(table) // so that there is one to remove: of a keeper that was killed
	c.DelTable(table)
	c.AddTable(table)
	sent, answer := binaryutil.NativeEndian.PutUint32(sentMark), binaryutil.NativeEndian.PutUint32(answerMark)
	rule := func(name string, hook *nftables.ChainHook, exprs ...expr.Any) {
		chain := c.AddChain(&nftables.Chain{Name: name, Table: table, Type: nftables.ChainTypeFilter, Hooknum: hook, Priority: nftables.ChainPriorityMangle})
		c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: exprs})
	}
	rule("output", nftables.ChainHookOutput,
		&expr.Meta{Key: expr.MetaKeyMARK, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: sent},
		&expr.Immediate{Register: 1, Data: answer},
		&expr.Ct{Key: expr.CtKeyMARK, Register: 1, SourceRegister: true})
	rule("prerouting", nftables.ChainHookPrerouting,
		&expr.Ct{Key: expr.CtKeyMARK, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: answer},
		&expr.Meta{Key: expr.MetaKeyMARK, Register: 1, SourceRegister: true})
	if err := c.Flush(); err != nil {
		return fmt.Errorf("mark answers to clients with nftables: %w", err)
	}
	return nil
}

// routeAnswers delivers what is marked to this host, and tries whether a socket may have the address of another.
func routeAnswers(family int, all string, other netip.Addr) error {
	rule := netlink.NewRule()
	rule.Family, rule.Mark, rule.Table = family, answerMark, answerTable
	if err := netlink.RuleAdd(rule); err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("add a rule for answers to clients: %w", err)
	}
	_, dst, err := net.ParseCIDR(all)
	if err != nil {
		return err
	}
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	route := &netlink.Route{LinkIndex: lo.Attrs().Index, Dst: dst, Table: answerTable, Type: unix.RTN_LOCAL, Scope: unix.RT_SCOPE_HOST, Family: family}
	if err := netlink.RouteReplace(route); err != nil {
		return fmt.Errorf("add a route for answers to clients: %w", err)
	}
	fd, err := unix.Socket(familyOf(other), unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return pretend(fd, netip.AddrPortFrom(other, 0))
}

// pretend gives a socket an address that is not ours, and its packets the mark.
func pretend(fd int, source netip.AddrPort) error {
	level, transparent := unix.SOL_IP, unix.IP_TRANSPARENT
	if source.Addr().Is6() {
		level, transparent = unix.SOL_IPV6, unix.IPV6_TRANSPARENT
	}
	for _, o := range []struct{ level, name, value int }{
		{level, transparent, 1},
		{unix.SOL_SOCKET, unix.SO_MARK, sentMark},
		{unix.SOL_SOCKET, unix.SO_REUSEADDR, 1}, // the client may have a connection to another container from the same port
		{unix.SOL_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1},
	} {
		if err := unix.SetsockoptInt(fd, o.level, o.name, o.value); err != nil {
			return fmt.Errorf("have a socket with a client's address: %w", os.NewSyscallError("setsockopt", err))
		}
	}
	if err := unix.Bind(fd, udprelay.Sockaddr(source)); err != nil {
		return fmt.Errorf("bind a client's address: %w", err)
	}
	return nil
}

// source is the address that the container is to see; none if it can only be the gateway's: a container does not answer to its own loopback
// or subnet through the gateway, and an address of one link (fe80::) is another on the bridge's.
func (f *forwarder) source(client netip.AddrPort, t target) netip.AddrPort {
	a := client.Addr().Unmap()
	can := f.keeps.four
	if a.Is6() {
		can = f.keeps.six
	}
	if !can || !t.keep || a.Is6() != t.to.Addr().Is6() || !a.IsGlobalUnicast() {
		return netip.AddrPort{}
	}
	for s := range strings.FieldsSeq(t.near) {
		if p, err := netip.ParsePrefix(s); err != nil || p.Contains(a) {
			return netip.AddrPort{}
		}
	}
	return netip.AddrPortFrom(a, client.Port())
}

// socket makes one where the bridges are, non-blocking, that is being connected from source, if that is valid.
func (f *forwarder) socket(kind int, source, to netip.AddrPort) (fd int, err error) {
	err = f.within(func() (err error) {
		fd, err = unix.Socket(familyOf(to.Addr()), kind|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		return err
	})
	if err != nil {
		return -1, err
	}
	if source.IsValid() {
		err = pretend(fd, source)
	}
	if err == nil {
		if err = unix.Connect(fd, udprelay.Sockaddr(to)); err == unix.EINPROGRESS {
			err = nil
		}
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// enter returns what runs functions, one after the other, on a thread of its own in a network namespace. They must not block.
func enter(netns int) (func(func() error) error, error) {
	work, done := make(chan func() error), make(chan error)
	go thread.Own(func() error {
		err := unix.Setns(netns, unix.CLONE_NEWNET)
		if done <- err; err != nil {
			return err
		}
		for do := range work {
			done <- do()
		}
		return nil
	})
	if err := <-done; err != nil {
		return nil, fmt.Errorf("enter the namespace of networks: %w", err)
	}
	turn := make(chan struct{}, 1)
	return func(do func() error) error {
		turn <- struct{}{}
		defer func() { <-turn }()
		work <- do
		return <-done
	}, nil
}

func familyOf(a netip.Addr) int {
	if a.Is6() {
		return unix.AF_INET6
	}
	return unix.AF_INET
}
