// SPDX-License-Identifier: Apache-2.0

package library

import "go.podman.io/common/libimage"

// noter writes down what happens to images; libctr.Engine is one.
type noter interface {
	NoteImage(status, id, name string, err error)
}

// eventWords are podman's for what the library tells of.
var eventWords = map[libimage.EventType]string{
	libimage.EventTypeImagePull: "pull", libimage.EventTypeImagePullError: "pull-error", libimage.EventTypeImagePush: "push", libimage.EventTypeImageRemove: "remove",
	libimage.EventTypeImageLoad: "loadfromarchive", libimage.EventTypeImageSave: "save", libimage.EventTypeImageTag: "tag", libimage.EventTypeImageUntag: "untag",
	libimage.EventTypeImageMount: "mount", libimage.EventTypeImageUnmount: "unmount",
}

// noteEvents has n told of what the library does, until Close, which waits until it knows all.
func (r *Runtime) noteEvents(n noter) {
	events, stop, done := r.lib.EventChannel(), make(chan struct{}), make(chan struct{})
	note := func(e *libimage.Event) {
		if word := eventWords[e.Type]; word != "" {
			n.NoteImage(word, e.ID, e.Name, e.Error)
		}
	}
	go func() {
		defer close(done)
		for {
			select {
			case e := <-events:
				note(e)
			case <-stop:
				for len(events) > 0 {
					note(<-events)
				}
				return
			}
		}
	}()
	r.noted = func() { close(stop); <-done }
}
