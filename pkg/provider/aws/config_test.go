// SPDX-License-Identifier: Apache-2.0

package aws_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
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

// A cluster id that is taken out of the configuration while the controller runs is
// asked of its instance, as at the start.
func TestAClusterIDThatIsTakenOutIsAskedOfTheInstance(t *testing.T) {
	for name, c := range map[string]struct {
		tagged bool   // the instances have the tag of the cluster
		want   string // the refusal
	}{
		"the instance has the tag":     {true, ""},
		"the instance has no such tag": {false, "has no tag kubernetes.io/cluster/ID"},
	} {
		t.Run(name, func(t *testing.T) {
			l := startLive(t, awssim.Options{})
			t.Setenv("AWS_EC2_METADATA_DISABLED", "false")
			t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", l.url)
			for _, n := range l.nodes {
				if c.tagged {
					break
				}
				if err := l.cloud.Apply("ec2.DeleteTags", url.Values{"ResourceId.1": {idOf(n)}, "Tag.1.Key": {"kubernetes.io/cluster/rig"}}); err != nil {
					t.Fatal(err)
				}
			}
			l.config.VPC = "" // so the instance is asked for that at the start
			l.restart(t)
			s := newSite(t)
			svc := s.service("web")
			l.add(t, svc)
			l.must(t, -1, provider.Serve, provider.Edit, svc)
			changed := *l.config
			changed.ClusterID = ""
			l.provider.Update(t.Context(), &cloudconfig.Config{AWS: &changed})
			late := s.service("late")
			l.add(t, late)
			_, _, err := l.pass(t, provider.Serve, provider.Edit, svc, late)
			if c.want != "" {
				if err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("%v, want %q", err, c.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			l.provider.Update(t.Context(), &cloudconfig.Config{AWS: l.config})
			l.must(t, 0, provider.Serve, provider.Edit, svc, late)
		})
	}
}
