// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"
	"time"
)

// samples are the durations of one thing done again and again.
type samples []time.Duration

// percentile is the smallest sample that p percent of the samples do not exceed
// (nearest rank). Zero of none.
func (s samples) percentile(p int) time.Duration {
	if len(s) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(s))
	rank := (len(sorted)*p + 99) / 100
	return sorted[max(rank, 1)-1]
}

func (s samples) median() time.Duration { return s.percentile(50) }

// subject is one of the things that interleave measures.
type subject struct {
	name string
	do   func() (time.Duration, error)
}

// interleave does each subject in turn, n times over after one round that does not
// count, and returns the samples in the order of the subjects. It stops at the first error.
func interleave(n int, subjects ...subject) ([]samples, error) {
	result := make([]samples, len(subjects))
	for round := range n + 1 {
		for i, s := range subjects {
			took, err := s.do()
			if err != nil {
				return nil, err
			}
			if round > 0 {
				result[i] = append(result[i], took)
			}
		}
	}
	return result, nil
}
