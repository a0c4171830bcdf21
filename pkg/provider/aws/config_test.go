// SPDX-License-Identifier: Apache-2.0

package aws_test

import (
	"strings"
	"testing"

	"github.com/fairlead/fairlead/pkg/provider"
	awssim "github.com/fairlead/fairlead/test/cloud/aws"
)

// A configuration that is not the cluster's is told, and never acted on: what is
// served in the place of the peer would be made anew elsewhere.
func TestAConfigurationThatIsNotTheClustersIsTold(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*live)
		want   string
	}{
		"another VPC":        {func(l *live) { l.config.VPC = "vpc-0" }, "VPC vpc-0 has no subnet in region us-east-1"},
		"another cluster id": {func(l *live) { l.config.ClusterID = "mine" }, `has the tags of cluster "rig", and this one is "mine"`},
	} {
		for _, kind := range []string{"nlb", "classic"} {
			t.Run(name+" "+kind, func(t *testing.T) {
				l := startLive(t, awssim.Options{})
				s := newSite(t)
				svc := s.service("web", with("type", kind))
				l.add(t, svc)
				l.must(t, -1, provider.Serve, provider.Edit, svc)
				tt.change(l)
				l.restart(t)
				for _, cause := range []provider.Cause{provider.Resync, provider.Edit} {
					d, _, err := l.pass(t, provider.Serve, cause, svc)
					if err != nil {
						t.Fatal(err)
					}
					if len(d.Plan.Steps) > 0 || len(d.Refused) != 1 {
						t.Fatalf("refused %v, planned:\n%s", d.Refused, d.Plan)
					}
					for _, refused := range d.Refused {
						if !strings.Contains(refused.Error(), tt.want) {
							t.Errorf("%v, want %q", refused, tt.want)
						}
					}
				}
			})
		}
	}
}
