// SPDX-License-Identifier: Apache-2.0

package undo

import (
	"errors"
	"slices"
	"testing"
)

var errLate, errUndo = errors.New("late"), errors.New("cannot be undone")

// change takes three steps, of which the second cannot be undone, and fails if it is told to.
func change(undone *[]int, fail error) (err error) {
	var way Stack
	defer way.OnError(&err)
	for i := range 3 {
		way.Push(func() error {
			*undone = append(*undone, i)
			if i == 1 {
				return errUndo
			}
			return nil
		})
	}
	return fail
}

func TestSuccessUndoesNothing(t *testing.T) {
	var undone []int
	if err := change(&undone, nil); err != nil || undone != nil {
		t.Errorf("undone %v, %v", undone, err)
	}
}

// Every step is undone, the last first, also after one that cannot be; the error says both, the reason first.
func TestFailure(t *testing.T) {
	var undone []int
	err := change(&undone, errLate)
	if !slices.Equal(undone, []int{2, 1, 0}) {
		t.Errorf("undone %v", undone)
	}
	if !errors.Is(err, errLate) || !errors.Is(err, errUndo) || err.Error() != "late\ncannot be undone" {
		t.Errorf("error %v", err)
	}
}

func TestStepsAreUndoneOnce(t *testing.T) {
	n := 0
	var way Stack
	way.Push(func() error { n++; return nil })
	err := errLate
	way.OnError(&err)
	way.OnError(&err)
	if n != 1 || err.Error() != "late" {
		t.Errorf("undone %d times, %v", n, err)
	}
	var none Stack
	none.OnError(&err)
}
