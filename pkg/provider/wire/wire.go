// SPDX-License-Identifier: Apache-2.0

// Package wire has what the calls to any cloud need: waits that a context ends,
// and the words of errors.
package wire

import (
	"context"
	"errors"
	"strings"
	"time"

	"k8s.io/utils/clock"
)

// Sleep waits, or returns the context's error.
func Sleep(ctx context.Context, c clock.Clock, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := c.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C():
	}
	return ctx.Err()
}

// IsContext reports whether a call ended with its caller: that says nothing of
// what was asked for, and nothing to others.
func IsContext(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// Sentence is an error whose text is ours and whose cause is the SDK's.
func Sentence(text string, cause error) error { return &sentenceError{text, cause} }

type sentenceError struct {
	text  string
	cause error
}

func (e *sentenceError) Error() string { return e.text }
func (e *sentenceError) Unwrap() error { return e.cause }

// Innermost is the message of the first cause, without what was wrapped around it,
// such as the URL that http.Client adds.
func Innermost(err error) string {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err.Error()
		}
		err = inner
	}
}

// Said is a service's own words on one line of bearable length, with its code
// unless they have it; empty when there are neither.
func Said(code, words string) string {
	const longest = 400
	text := strings.TrimSuffix(strings.Join(strings.Fields(words), " "), ".")
	if r := []rune(text); len(r) > longest {
		text = string(r[:longest]) + "..."
	}
	switch {
	case text == "":
		return code
	case strings.Contains(text, code): // also where there is none
		return text
	}
	return code + ": " + text
}
