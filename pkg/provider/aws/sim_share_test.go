// SPDX-License-Identifier: Apache-2.0

package aws_test

import (
	"strings"
	"testing"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
	awssim "github.com/fairlead/fairlead/test/cloud/aws"
)

// One that is protected from deletion is let go of by all Services but the last,
// which waits and leaves it as it is.
func TestSharedLoadBalancerThatIsProtected(t *testing.T) {
	l := startLive(t, awssim.Options{})
	claims(l.config)
	l.restart(t)
	s := newSite(t)
	first := s.service("first", external, with("name", "front", "attributes", "deletion_protection.enabled=true"))
	second := s.service("second", external, with("name", "front"), ports(tcp("a", 81, 30081)))
	l.add(t, first)
	l.add(t, second)
	l.must(t, -1, provider.Serve, provider.Edit, first, second)
	l.must(t, -1, provider.Remove, provider.Edit, first)
	if err := l.services.Delete(first); err != nil {
		t.Fatal(err)
	}
	if state := string(l.cloud.State()); !strings.Contains(state, `"default/second"`) || strings.Contains(state, `"default/first"`) {
		t.Errorf("it is not the second one's:\n%s", state)
	}
	for range 2 {
		if _, _, err := l.pass(t, provider.Remove, provider.Edit, second); err == nil || !plan.KindOf(err).Refuses() || !strings.Contains(err.Error(), "eletion protection") {
			t.Errorf("%v", err)
		}
		if !strings.Contains(string(l.cloud.State()), `"front"`) {
			t.Error("it is gone")
		}
	}
}
