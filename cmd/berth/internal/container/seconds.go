// SPDX-License-Identifier: Apache-2.0

package container

import (
	"errors"
	"strconv"
	"time"
)

// seconds is the value of a flag that is a number of seconds; nil unless it is given.
type seconds struct{ d **time.Duration }

func (s *seconds) String() string {
	if s.d == nil || *s.d == nil {
		return ""
	}
	return strconv.Itoa(int((*s.d).Seconds()))
}

// Set takes the value.
func (s *seconds) Set(text string) error {
	n, err := strconv.ParseUint(text, 0, 32)
	if err != nil {
		return errors.New("not a number of seconds")
	}
	d := time.Duration(n) * time.Second
	*s.d = &d
	return nil
}

// Type is what the help calls the value.
func (s *seconds) Type() string { return "uint" }
