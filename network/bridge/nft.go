// SPDX-License-Identifier: Apache-2.0

package bridge

import (
	"encoding/binary"
	"net"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// rules adds to one table of nftables. What it adds is sent with the connection's Flush.
type rules struct {
	conn  *nftables.Conn
	table *nftables.Table
	last  *nftables.Chain
}

// match is a part of a rule: a condition, or at its end what is done. Conditions that are nil hold.
type match []expr.Any

func (r *rules) chain(name string, kind nftables.ChainType, hook *nftables.ChainHook, priority *nftables.ChainPriority) {
	r.last = r.conn.AddChain(&nftables.Chain{Name: name, Table: r.table, Type: kind, Hooknum: hook, Priority: priority})
}

func (r *rules) plainChain(name string) {
	r.last = r.conn.AddChain(&nftables.Chain{Name: name, Table: r.table})
}

// add ends the last chain with a rule.
func (r *rules) add(parts ...match) {
	var all []expr.Any
	for _, p := range parts {
		all = append(all, p...)
	}
	r.conn.AddRule(&nftables.Rule{Table: r.table, Chain: r.last, Exprs: all})
}

var (
	accept        = match{&expr.Verdict{Kind: expr.VerdictAccept}}
	drop          = match{&expr.Verdict{Kind: expr.VerdictDrop}}
	verdictReturn = match{&expr.Verdict{Kind: expr.VerdictReturn}}
	masquerade    = match{&expr.Masq{}}

	// ct state established,related
	established = bits(&expr.Ct{Key: expr.CtKeySTATE, Register: 1}, expr.CtStateBitESTABLISHED|expr.CtStateBitRELATED)
	// ct status dnat
	redirected = bits(&expr.Ct{Key: expr.CtKeySTATUS, Register: 1}, 1<<5)
	// fib daddr type local
	toThisHost = match{
		&expr.Fib{Register: 1, FlagDADDR: true, ResultADDRTYPE: true},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binary.NativeEndian.AppendUint32(nil, unix.RTN_LOCAL)},
	}
)

func bits(load expr.Any, mask uint32) match {
	return match{
		load,
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: 4, Mask: binary.NativeEndian.AppendUint32(nil, mask), Xor: make([]byte, 4)},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: 1, Data: make([]byte, 4)},
	}
}

func jump(chain string) match { return match{&expr.Verdict{Kind: expr.VerdictJump, Chain: chain}} }

func from(n *Network) match    { return iface(expr.MetaKeyIIFNAME, expr.CmpOpEq, n) }
func notFrom(n *Network) match { return iface(expr.MetaKeyIIFNAME, expr.CmpOpNeq, n) }
func to(n *Network) match      { return iface(expr.MetaKeyOIFNAME, expr.CmpOpEq, n) }
func notTo(n *Network) match   { return iface(expr.MetaKeyOIFNAME, expr.CmpOpNeq, n) }

func iface(key expr.MetaKey, op expr.CmpOp, n *Network) match {
	name := make([]byte, unix.IFNAMSIZ)
	copy(name, n.bridge.Bridge)
	return match{&expr.Meta{Key: key, Register: 1}, &expr.Cmp{Op: op, Register: 1, Data: name}}
}

// family holds for packets of an address's family.
func family(a netip.Addr) match {
	f := byte(unix.NFPROTO_IPV4)
	if a.Is6() {
		f = unix.NFPROTO_IPV6
	}
	return match{&expr.Meta{Key: expr.MetaKeyNFPROTO, Register: 1}, &expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{f}}}
}

func source(p netip.Prefix) match { return field(p, 12, 8, true) }

// destination holds for packets of the prefix's family that go into it, or that do not.
func destination(p netip.Prefix, into bool) match { return field(p, 16, 24, into) }

// field compares an address of the packet's header, at one offset with IPv4 and at another with IPv6.
func field(p netip.Prefix, at4, at6 uint32, equal bool) match {
	at, size := at4, uint32(4)
	if p.Addr().Is6() {
		at, size = at6, 16
	}
	op := expr.CmpOpEq
	if !equal {
		op = expr.CmpOpNeq
	}
	return append(family(p.Addr()),
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseNetworkHeader, Offset: at, Len: size},
		&expr.Bitwise{SourceRegister: 1, DestRegister: 1, Len: size, Mask: net.CIDRMask(p.Bits(), int(8*size)), Xor: make([]byte, size)},
		&expr.Cmp{Op: op, Register: 1, Data: p.Masked().Addr().AsSlice()})
}

// hostAddress holds for packets to the address of the host that a port is published on; without one, for all.
func hostAddress(ip string) match {
	a, err := netip.ParseAddr(ip)
	if err != nil || a.IsUnspecified() {
		return nil
	}
	return destination(netip.PrefixFrom(a, a.BitLen()), true)
}

func port(protocol string, number uint16) match {
	proto := map[string]byte{"tcp": unix.IPPROTO_TCP, "udp": unix.IPPROTO_UDP, "sctp": unix.IPPROTO_SCTP}[protocol]
	return match{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: 1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: []byte{proto}},
		&expr.Payload{DestRegister: 1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
		&expr.Cmp{Op: expr.CmpOpEq, Register: 1, Data: binary.BigEndian.AppendUint16(nil, number)},
	}
}

// redirect sends the connection to another address.
func redirect(to netip.AddrPort) match {
	f := uint32(unix.NFPROTO_IPV4)
	if to.Addr().Is6() {
		f = unix.NFPROTO_IPV6
	}
	return match{
		&expr.Immediate{Register: 1, Data: to.Addr().AsSlice()},
		&expr.Immediate{Register: 2, Data: binary.BigEndian.AppendUint16(nil, to.Port())},
		&expr.NAT{Type: expr.NATTypeDestNAT, Family: f, RegAddrMin: 1, RegProtoMin: 2, Specified: true},
	}
}
