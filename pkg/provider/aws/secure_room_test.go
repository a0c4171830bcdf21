// SPDX-License-Identifier: Apache-2.0

package aws_test

import (
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/aws"
	awssim "github.com/fairlead/fairlead/test/cloud/aws"
)

// A Service that needs more rules than there is room for is refused alone,
// whether it comes before others or after them.
func TestOneServiceWithManyRangesIsRefusedAlone(t *testing.T) {
	var ranges []string
	for i := range 70 {
		ranges = append(ranges, fmt.Sprintf("198.51.%d.0/24", i))
	}
	for big := range 3 {
		s := newSite(t)
		for i := range 3 {
			svc := s.service(fmt.Sprint("s", i))
			if i == big {
				sourceRanges(ranges...)(svc)
			}
		}
		r := s.compute(s.all(provider.Serve, provider.Edit))
		key := plan.Key{Namespace: "default", Name: fmt.Sprint("s", big)}
		var e *plan.Error
		if len(r.Refused) != 1 || !errors.As(r.Refused[key], &e) || e.Reason != aws.ReasonLimitReached {
			t.Errorf("with the big one as number %d are refused: %v", big, r.Refused)
		}
	}
}

// EC2 does not know everywhere at once a group that it has just made.
func TestAGroupThatIsNotSeenEverywhereYetIsWaitedFor(t *testing.T) {
	l := startLive(t, awssim.Options{})
	l.config.ManagedNLBSecurityGroups = true
	l.restart(t)
	s := newSite(t)
	svc := s.service("web")
	l.add(t, svc)
	var unseen atomic.Int32
	unseen.Store(2)
	l.cloud.SetFault(func(c awssim.Call) *awssim.Fault {
		if c.Action != "AuthorizeSecurityGroupIngress" || unseen.Add(-1) < 0 {
			return nil
		}
		return awssim.Refuse(http.StatusBadRequest, "InvalidGroup.NotFound")
	})
	if _, _, err := l.pass(t, provider.Serve, provider.Edit, svc); plan.KindOf(err) != plan.Transient {
		t.Fatalf("%v, want that it is tried again soon", err)
	}
	l.must(t, -1, provider.Serve, provider.Edit, svc)
	l.must(t, 0, provider.Serve, provider.Edit, svc)
}
