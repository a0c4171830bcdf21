// SPDX-License-Identifier: Apache-2.0

package aws_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/aws"
	"github.com/fairlead/fairlead/pkg/provider/providertest"
	awssim "github.com/fairlead/fairlead/test/cloud/aws"
)

// TestRefusedTargetsAreTriedAgainAlone registers instances of which AWS refuses
// one, in its several words: the others are registered, and as long as it is
// refused each pass over the nodes tries that one and reads nothing.
func TestRefusedTargetsAreTriedAgainAlone(t *testing.T) {
	for name, tt := range map[string]struct {
		edit    func(*v1.Service)
		code    string
		message string // ID: of the refused one
		calls   int    // that the first pass takes
	}{
		"classic, named":   {classic, "InvalidInstance", "Could not find EC2 instance ID.", 2},
		"classic, unnamed": {classic, "InvalidInstance", "An instance is invalid.", 5},
		"network, named":   {func(*v1.Service) {}, "InvalidTarget", "The following targets are not in a running state and cannot be registered: 'ID'", 2},
		"network, unnamed": {func(*v1.Service) {}, "InvalidTarget", "", 5},
	} {
		t.Run(name, func(t *testing.T) {
			l := startLive(t, awssim.Options{})
			before := string(l.cloud.State())
			bad := idOf(l.nodes[1])
			refusing := func(c awssim.Call) *awssim.Fault {
				for _, values := range c.Form {
					if strings.HasPrefix(c.Action, "Register") && slices.Contains(values, bad) {
						return &awssim.Fault{When: awssim.Before, Status: http.StatusBadRequest, Code: tt.code, Message: strings.ReplaceAll(tt.message, "ID", bad)}
					}
				}
				return nil
			}
			l.cloud.SetFault(refusing)
			svc := newSite(t).service("web", tt.edit)
			l.add(t, svc)
			try := func(what string, cause provider.Cause, calls int) {
				t.Helper()
				l.cloud.ResetCalls()
				_, status, err := l.pass(t, provider.Serve, cause, svc)
				left, ok := errors.AsType[*plan.LeftOutError](err)
				if !ok || left.Owed == nil || len(left.Failed) > 0 || !strings.Contains(left.Owed.Error(), bad) {
					t.Fatalf("%s: want a target to be owed, and no Service to fail: %v", what, err)
				}
				if e, ok := errors.AsType[*plan.Error](left.Owed); !ok || e.Reason != aws.ReasonTargetsRefused {
					t.Errorf("%s: %v", what, left.Owed)
				}
				if text := left.Owed.Error(); !strings.HasPrefix(text, "AWS does not take node n1 ("+bad+") as a target, since it says: ") || !strings.Contains(text, "; start the instance, or delete its Node. The others serve") || strings.Contains(text, "egister") && !strings.Contains(tt.message, "egister") {
					t.Errorf("%s: %s", what, text)
				}
				if len(status[keyOf(svc)].Ingress) != 1 {
					t.Errorf("%s: no status", what)
				}
				c := l.cloud.Counts()
				if n := c.Writes["elbv2.RegisterTargets"] + c.Writes["elb.RegisterInstancesWithLoadBalancer"]; n != calls {
					t.Errorf("%s: %d calls, want %d", what, n, calls)
				}
				if cause == provider.Nodes && total(c.Reads) > 0 {
					t.Errorf("%s: read %v", what, c.Reads)
				}
			}
			try("the first time", provider.Edit, tt.calls)
			after := string(l.cloud.State())
			for i, n := range l.nodes {
				if got, want := strings.Count(after, idOf(n)) > strings.Count(before, idOf(n)), i != 1; got != want {
					t.Errorf("%s is registered: %t", idOf(n), got)
				}
			}
			try("the second time", provider.Nodes, 1)
			l.cloud.SetFault(nil)
			l.must(t, 1, provider.Serve, provider.Nodes, svc)
			l.must(t, 0, provider.Serve, provider.Edit, svc)
		})
	}
}

func idOf(n *v1.Node) string {
	return n.Spec.ProviderID[strings.LastIndex(n.Spec.ProviderID, "/")+1:]
}

func keyOf(svc *v1.Service) plan.Key { return plan.Key{Namespace: svc.Namespace, Name: svc.Name} }

// TestFailedStepsNameTheirTargetOnce has AWS refuse a call, whose sentence names
// what the plan calls otherwise by both names.
func TestFailedStepsNameTheirTargetOnce(t *testing.T) {
	for name, tt := range map[string]struct{ action, want string }{
		"of the same name in both": {"CreateLoadBalancer", "create load balancer "},
		"by an ARN at AWS":         {"CreateListener", "aws/listener "},
		"by an id at AWS":          {"AuthorizeSecurityGroupIngress", "aws/securityGroupRules "},
	} {
		t.Run(name, func(t *testing.T) {
			l := startClaimed(t, awssim.Options{})
			svc := newSite(t).service("web", external)
			l.add(t, svc)
			l.cloud.SetFault(func(c awssim.Call) *awssim.Fault {
				if c.Action != tt.action {
					return nil
				}
				return &awssim.Fault{When: awssim.Before, Status: http.StatusBadRequest, Code: "InvalidConfigurationRequest", Message: "Not so."}
			})
			p, err := l.provider.Observe(t.Context(), provider.Batch{Group: "aws", Nodes: l.nodes, Items: []provider.Item{item(svc, provider.Serve, provider.Edit)}})
			if err != nil {
				t.Fatal(err)
			}
			for _, st := range providertest.Decide(t, p).Plan.Steps {
				if err := p.Execute(t.Context(), st, nil); err != nil {
					if text := err.Error(); !strings.HasPrefix(text, tt.want) || strings.Count(text, st.Target.Name) != 1 {
						t.Errorf("%s failed: %s", st.Target, text)
					}
					return
				}
			}
			t.Error("no step failed")
		})
	}
}
