// SPDX-License-Identifier: Apache-2.0

package logfile

import (
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// watcher tells a following reader when to look again.
type watcher struct {
	changed chan struct{} // has one token after a change
	stop    chan struct{}
	f       *os.File // inotify; nil where it polls
}

// pollEvery is how often a log is looked at where inotify has no instance left.
const pollEvery = 200 * time.Millisecond

func newWatcher(path string) *watcher {
	w := &watcher{changed: make(chan struct{}, 1), stop: make(chan struct{})}
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err == nil {
		// The directory: a rotated file's successor is made there.
		_, err = unix.InotifyAddWatch(fd, filepath.Dir(path), unix.IN_MODIFY|unix.IN_CREATE|unix.IN_MOVED_TO)
		if err != nil {
			unix.Close(fd)
		}
	}
	if err != nil { // fs.inotify.max_user_instances is 128 a user
		go w.poll()
		return w
	}
	w.f = os.NewFile(uintptr(fd), "inotify")
	go w.read()
	return w
}

func (w *watcher) read() {
	var buf [4096]byte
	for {
		if _, err := w.f.Read(buf[:]); err != nil {
			return // closed
		}
		w.token()
	}
}

func (w *watcher) poll() {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		select {
		case <-w.stop:
			return
		case <-tick.C:
			w.token()
		}
	}
}

func (w *watcher) token() {
	select {
	case w.changed <- struct{}{}:
	default:
	}
}

func (w *watcher) close() {
	if w == nil {
		return
	}
	close(w.stop)
	if w.f != nil {
		w.f.Close()
	}
}
