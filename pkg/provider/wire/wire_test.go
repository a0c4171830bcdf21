// SPDX-License-Identifier: Apache-2.0

package wire_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/utils/clock"

	"github.com/fairlead/fairlead/pkg/provider/wire"
)

func TestSaid(t *testing.T) {
	for name, c := range map[string]struct{ code, words, want string }{
		"nothing":                {},
		"a code alone":           {code: "Busy", want: "Busy"},
		"words alone":            {words: "Come back.", want: "Come back"},
		"both":                   {code: "Busy", words: "come\r\n  back", want: "Busy: come back"},
		"words that have a code": {code: "Busy", words: "Busy now", want: "Busy now"},
		"too many words":         {words: strings.Repeat("é", 500), want: strings.Repeat("é", 400) + "..."},
	} {
		t.Run(name, func(t *testing.T) {
			if got := wire.Said(c.code, c.words); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestSleepEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		if err := wire.Sleep(t.Context(), clock.RealClock{}, time.Second); err != nil || time.Since(start) != time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		start = time.Now()
		if err := wire.Sleep(ctx, clock.RealClock{}, time.Hour); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Minute {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		if err := wire.Sleep(ctx, clock.RealClock{}, 0); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("no wait gives %v after the context's end", err)
		}
	})
}

func TestSentenceHasOurTextAndTheirCause(t *testing.T) {
	root := errors.New("reset by peer")
	err := wire.Sentence("read load balancers: no answer", fmt.Errorf("Get https://example.com: %w", root))
	if err.Error() != "read load balancers: no answer" || !errors.Is(err, root) || wire.Innermost(err) != "reset by peer" {
		t.Errorf("%v, %s", err, wire.Innermost(err))
	}
}
