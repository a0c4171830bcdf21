// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"fmt"
	"maps"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbv2types "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/plan"
)

// privateLink is whether security groups judge clients that come by
// PrivateLink, where that is asked for and is not so. AWS has it on at first.
func (a *ask) privateLink(lb *Network) elbv2types.EnforceSecurityGroupInboundRulesOnPrivateLinkTrafficEnum {
	want := a.text(intent.KeyAWSPrivateLinkRules)
	have := awssdk.ToString(lb.EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic)
	const atFirst = elbv2types.EnforceSecurityGroupInboundRulesOnPrivateLinkTrafficEnumOn
	if !a.external || want == "" || want == have || (have == "" && want == string(atFirst)) {
		return ""
	}
	return elbv2types.EnforceSecurityGroupInboundRulesOnPrivateLinkTrafficEnum(want)
}

// putPrivateLink sets that and leaves the groups as they are.
func (t *turn) putPrivateLink(a *ask, b *balancer, want elbv2types.EnforceSecurityGroupInboundRulesOnPrivateLinkTrafficEnum) {
	in := &elbv2.SetSecurityGroupsInput{LoadBalancerArn: awssdk.String(b.ref.Text()), EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic: want}
	st := plan.Step{
		Action: plan.Update, Target: plan.ID{Kind: kindPrivateLink, Name: b.name}, Needs: b.needs(),
		Why: []plan.Diff{{Field: "security groups for PrivateLink", Want: string(want)}},
	}
	in.SecurityGroups, st.Needs = refTexts(a.groups), append(st.Needs, stepsOf(a.groups)...)
	t.add(a, st, in)
}

// listenerAttributes are those that an annotation asks for.
func (a *ask) listenerAttributes(m *mapping) map[string]string {
	if !a.external {
		return nil
	}
	return a.pairs(intent.AWSListenerAttributesKey(string(m.listener), m.port))
}

// putListenerAttributes sets the attributes of a listener.
func (t *turn) putListenerAttributes(a *ask, b *balancer, m *mapping) {
	id := listenerID(b.name, int32(m.port))
	listener, have := Ref{Made: id}, map[string]string{}
	if l := listenerAt(b.have, m.port); l != nil {
		listener.ID = awssdk.ToString(l.ListenerArn)
		have = b.have.ListenerAttributes[listener.ID]
	}
	diffs := changed(a.listenerAttributes(m), have)
	if len(diffs) == 0 {
		return
	}
	in := &elbv2.ModifyListenerAttributesInput{ListenerArn: awssdk.String(listener.Text())}
	for _, d := range diffs {
		in.Attributes = append(in.Attributes, elbv2types.ListenerAttribute{Key: awssdk.String(d.Field), Value: awssdk.String(d.Want)})
	}
	t.add(a, plan.Step{
		Action: plan.Update, Target: plan.ID{Kind: kindListenerSettings, Name: fmt.Sprintf("%s:%d", b.name, m.port)}, Needs: []plan.ID{id}, Why: diffs,
	}, in)
}

// learnListenerAttributes notes attributes of listeners.
func (o *Observed) learnListenerAttributes(in Call) {
	change, ok := in.(*elbv2.ModifyListenerAttributesInput)
	if !ok {
		return
	}
	arn := awssdk.ToString(change.ListenerArn)
	o.changeNetwork(o.listenerOwner(arn), func(n *Network) {
		if n.ListenerAttributes == nil {
			return // not read
		}
		all := map[string]map[string]string{}
		maps.Copy(all, n.ListenerAttributes)
		all[arn] = map[string]string{}
		maps.Copy(all[arn], n.ListenerAttributes[arn])
		for _, x := range change.Attributes {
			all[arn][awssdk.ToString(x.Key)] = awssdk.ToString(x.Value)
		}
		n.ListenerAttributes = all
	})
}

// wantsListenerAttributes reports whether annotations ask for some.
func wantsListenerAttributes(svc *v1.Service) bool {
	prefix, _, _ := strings.Cut(intent.AWSListenerAttributesKey("TCP", 1), "TCP")
	return intent.AWSWritesAny(svc, prefix)
}
