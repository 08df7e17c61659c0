// SPDX-License-Identifier: Apache-2.0

package monitor_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/berth-containers/berth/libctr/ctl"
)

// BenchmarkRun is a --rm container's life with its monitor; compare it with BenchmarkBareRuntime.
func BenchmarkRun(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		c := newContainer(b, "crun", []string{"true"}, func(c *container) { c.cfg.AutoRemove = true })
		b.StartTimer()
		conn := c.start(ctl.Request{Owner: true})
		output(b, conn)
		b.StopTimer()
		check(b, conn.SendRequest(&ctl.Request{Op: "removed"}))
		c.waitMonitor()
		b.StartTimer()
	}
}

// BenchmarkBareRuntime is the same without a monitor.
func BenchmarkBareRuntime(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		c := newContainer(b, "crun", []string{"true"})
		bundle := filepath.Join(c.cfg.Dir, "bundle")
		check(b, os.RemoveAll(filepath.Join(bundle, "rootfs")))
		check(b, os.Symlink(busyboxRoot, filepath.Join(bundle, "rootfs")))
		b.StartTimer()
		if out, err := exec.Command(c.cfg.Runtime.Path, append(c.cfg.Runtime.Args, "run", "--bundle", bundle, c.cfg.ID)...).CombinedOutput(); err != nil {
			b.Fatalf("%v: %s", err, out)
		}
	}
}

// BenchmarkExec is an exec in a running container.
func BenchmarkExec(b *testing.B) {
	c := newContainer(b, "crun", []string{"sleep", "1000"})
	c.startDetached()
	for b.Loop() {
		conn := c.dial()
		call(b, conn, ctl.Request{Op: "exec", Process: process([]string{"true"}), Detach: true})
		event(b, conn, "exited")
	}
	call(b, c.dial(), ctl.Request{Op: "stop"})
	c.waitMonitor()
}
