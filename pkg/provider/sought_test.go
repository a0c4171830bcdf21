// SPDX-License-Identifier: Apache-2.0

package provider

import (
	"maps"
	"slices"
	"testing"
	"time"
)

// What is missing is looked for after growing waits, soon again when something
// else is missing, and no more when nothing is.
func TestWhatIsMissingIsLookedForEverLater(t *testing.T) {
	patient := Sought{First: 15 * time.Second, Longest: 5 * time.Minute}
	tired := Sought{First: 10 * time.Second, Longest: 5 * time.Minute, Patience: 5 * time.Minute}
	tests := map[string]struct {
		sought  Sought
		missing [][]string // by each look; the last one from then on
		looks   []int      // the seconds of the first eight, after the first of all
		lost    []string
	}{
		"nothing":         {patient, [][]string{nil}, nil, nil},
		"one for a while": {patient, [][]string{{"a"}, {"a"}, {"a"}, nil}, []int{15, 30, 60}, nil},
		"another comes":   {patient, [][]string{{"a"}, {"a"}, {"a", "b"}, {"a", "b"}, {"b"}, nil}, []int{15, 30, 45, 60, 90}, nil},
		"one that is off": {patient, [][]string{{"a"}}, []int{15, 30, 60, 120, 240, 480, 780, 1080}, nil},
		"one that nobody waits for any more": {
			tired, [][]string{{"a"}}, []int{10, 20, 40, 80, 160, 320}, []string{"a"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			now := start
			var looks []int
			var lost, news []string
			for len(looks) < 8 {
				missing := tt.missing[min(len(looks), len(tt.missing)-1)]
				missed := tt.sought.Note(now, missing, tt.sought.Due(now, missing))
				lost, news = slices.Sorted(maps.Keys(missed.Lost)), append(news, missed.News...)
				if missed.Again == 0 {
					break
				}
				now = now.Add(missed.Again)
				looks = append(looks, int(now.Sub(start).Seconds()))
			}
			if !slices.Equal(looks, tt.looks) || !slices.Equal(lost, tt.lost) || !slices.Equal(news, tt.lost) {
				t.Errorf("looked after %v, want %v; lost %v, new %v, want %v", looks, tt.looks, lost, news, tt.lost)
			}
		})
	}
}

// Passes that others begin look for nothing before its time, nor do they move
// the look.
func TestPassesBesideDoNotMoveTheLook(t *testing.T) {
	s := Sought{First: 15 * time.Second, Longest: 5 * time.Minute}
	start := time.Now()
	for second := range 15 {
		now := start.Add(time.Duration(second) * time.Second)
		due := s.Due(now, []string{"a"})
		if (len(due) == 1) != (second == 0) {
			t.Errorf("after %d s due: %v", second, due)
		}
		if again, want := s.Note(now, []string{"a"}, due).Again, time.Duration(15-second)*time.Second; again != want {
			t.Errorf("after %d s: again after %s, want %s", second, again, want)
		}
	}
	if due := s.Due(start.Add(15*time.Second), []string{"a"}); len(due) != 1 {
		t.Error("not due at its time")
	}
}
