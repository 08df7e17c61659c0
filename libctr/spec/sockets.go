// SPDX-License-Identifier: Apache-2.0

package spec

import (
	"slices"

	"go.podman.io/common/pkg/seccomp"
	"golang.org/x/sys/unix"
)

// DefaultSeccomp is the seccomp profile of containers and of RUN where none is named: the library's, with stricter rules for
// sockets. AF_ALG, the kernel's cryptography, and AF_VSOCK, the hypervisor's side, are closed (CVE-2026-31431). The library's
// own rules compare all 64 bits of the family, of which the kernel takes 32: 1<<32|AF_VSOCK passes them.
//
// socketcall(2), by which old 32-bit x86 programs make sockets, stays open: it keeps the family in memory that no filter
// sees, and without it those programs have no network (docs/decisions/0011).
func DefaultSeccomp() *seccomp.Seccomp {
	p := seccomp.DefaultProfile()
	var rules []*seccomp.Syscall
	for _, rule := range p.Syscalls {
		r := *rule
		r.Names = slices.DeleteFunc(slices.Clone(rule.Names), func(name string) bool {
			return name == "socket"
		})
		if len(r.Names) > 0 {
			rules = append(rules, &r)
		}
	}
	p.Syscalls = append(rules, socketRules()...)
	return p
}

// socketRules allow socket(2) for every family but AF_ALG, AF_VSOCK, and, without CAP_AUDIT_WRITE, the audit protocol
// of AF_NETLINK. No two of them match the same call, so that their order does not matter.
func socketRules() []*seccomp.Syscall {
	const family, protocol = 0, 2
	var rules []*seccomp.Syscall
	allow := func(args ...*seccomp.Arg) *seccomp.Syscall {
		r := &seccomp.Syscall{Names: []string{"socket"}, Action: seccomp.ActAllow, Args: args}
		rules = append(rules, r)
		return r
	}
	for _, r := range blocksWithout(0, 63, unix.AF_NETLINK, unix.AF_ALG, unix.AF_VSOCK) {
		allow(r.of(family))
	}
	netlink := block{unix.AF_NETLINK, 1}
	allow(netlink.of(family)).Includes.Caps = []string{"CAP_AUDIT_WRITE"}
	for _, r := range blocksWithout(0, 31, unix.NETLINK_AUDIT) {
		allow(netlink.of(family), r.of(protocol)).Excludes.Caps = []string{"CAP_AUDIT_WRITE"}
	}
	refuse := func(code uint, args ...*seccomp.Arg) *seccomp.Syscall {
		r := &seccomp.Syscall{Names: []string{"socket"}, Action: seccomp.ActErrno, ErrnoRet: &code, Args: args}
		rules = append(rules, r)
		return r
	}
	refuse(uint(unix.EPERM), block{unix.AF_ALG, 1}.of(family))
	refuse(uint(unix.EPERM), block{unix.AF_VSOCK, 1}.of(family))
	refuse(uint(unix.EINVAL), netlink.of(family), block{unix.NETLINK_AUDIT, 1}.of(protocol)).Excludes.Caps = []string{"CAP_AUDIT_WRITE"}
	return rules
}

// block is a range of numbers whose size is a power of two and divides its start: one comparison under a mask.
type block struct{ start, size uint64 }

// of compares the lower 32 bits of an argument.
func (b block) of(index uint) *seccomp.Arg {
	const low = 1<<32 - 1
	return &seccomp.Arg{Index: index, Op: seccomp.OpMaskedEqual, Value: low &^ (b.size - 1), ValueTwo: b.start}
}

// blocksWithout covers first to last, but for the holes, with as few blocks as there can be.
func blocksWithout(first, last uint64, holes ...uint64) []block {
	var list []block
	for n := first; n <= last; {
		if slices.Contains(holes, n) {
			n++
			continue
		}
		size := uint64(1)
		for {
			next := size * 2
			if n%next != 0 || n+next-1 > last || slices.ContainsFunc(holes, func(h uint64) bool { return h >= n && h < n+next }) {
				break
			}
			size = next
		}
		list = append(list, block{n, size})
		n += size
	}
	return list
}
