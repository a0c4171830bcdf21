// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"fmt"
	"slices"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing/types"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider/aws/names"
)

// usualTLSPolicy is what AWS gives a listener with TLS that asks for none:
// Elastic Load Balancing, predefined security policies of classic load
// balancers, and CreateListener for network load balancers.
const usualTLSPolicy = "ELBSecurityPolicy-2016-08"

// putClassicPolicies sets the policies of listeners with TLS and of node ports.
// A policy says in its name all that is in it, so it is made when no policy has
// the name, and never again.
func (t *turn) putClassicPolicies(a *ask, b *classicBalancer) {
	creates := map[string]plan.ID{}
	for i := range b.listeners {
		t.putTLSPolicy(a, b, &b.listeners[i], creates)
	}
	var want []string
	if a.text(intent.KeyAWSProxyProtocol) != "" {
		want = []string{names.ProxyProtocolPolicy}
	}
	for _, port := range b.nodePorts() {
		t.putProxyPolicy(a, b, port, want, creates)
	}
}

// nodePorts are those of the listeners, each once.
func (b *classicBalancer) nodePorts() []int32 {
	var out []int32
	for i := range b.listeners {
		out = append(out, b.listeners[i].nodePort)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// putTLSPolicy sets the policy of a listener. When the annotation is taken away
// the peer leaves the last one; an edit brings back what AWS gives.
func (t *turn) putTLSPolicy(a *ask, b *classicBalancer, l *classicListener, creates map[string]plan.ID) {
	if l.certificate == "" {
		return
	}
	have := b.tlsPolicies(l.port)
	refers := a.text(intent.KeyAWSTLSPolicy)
	if refers == "" {
		if !a.strict() || !slices.ContainsFunc(have, names.IsTLSPolicy) {
			return
		}
		refers = usualTLSPolicy
	}
	want := names.TLSPolicy(refers)
	if slices.Contains(have, want) {
		return
	}
	st := plan.Step{
		Action: plan.Update, Target: plan.ID{Kind: kindListenerPolicy, Name: fmt.Sprintf("%s:%d", b.name, l.port)},
		Needs: append(slices.Clone(b.needs), t.policy(a, b, want, creates)...),
		Why:   []plan.Diff{{Field: "policy", Have: strings.Join(have, ", "), Want: want}},
	}
	t.add(a, st, &elb.SetLoadBalancerPoliciesOfListenerInput{LoadBalancerName: awssdk.String(b.name), LoadBalancerPort: l.port, PolicyNames: []string{want}})
}

// tlsPolicies are those of the listener; of one that the plan makes, what AWS
// gives it.
func (b *classicBalancer) tlsPolicies(port int32) []string {
	if b.made[port] {
		return []string{usualTLSPolicy}
	}
	for i := range b.now.ListenerDescriptions {
		if d := &b.now.ListenerDescriptions[i]; d.Listener != nil && d.Listener.LoadBalancerPort == port {
			return d.PolicyNames
		}
	}
	return nil
}

// putProxyPolicy sets whether nodes get the PROXY protocol on a port. Other
// policies of the port stay.
func (t *turn) putProxyPolicy(a *ask, b *classicBalancer, port int32, want []string, creates map[string]plan.ID) {
	var have []string
	for i := range b.now.BackendServerDescriptions {
		if d := &b.now.BackendServerDescriptions[i]; awssdk.ToInt32(d.InstancePort) == port {
			have = d.PolicyNames
		}
	}
	if slices.Contains(have, names.ProxyProtocolPolicy) == (len(want) > 0) {
		return
	}
	all := slices.DeleteFunc(slices.Clone(have), func(s string) bool { return s == names.ProxyProtocolPolicy })
	all = append(all, want...) // never nil, which the SDK refuses
	st := plan.Step{
		Action: plan.Update, Target: plan.ID{Kind: kindBackendPolicy, Name: fmt.Sprintf("%s:%d", b.name, port)}, Needs: slices.Clone(b.needs),
		Why: []plan.Diff{{Field: "policy", Have: strings.Join(have, ", "), Want: strings.Join(all, ", ")}},
	}
	if len(want) > 0 {
		st.Needs = append(st.Needs, t.policy(a, b, names.ProxyProtocolPolicy, creates)...)
	}
	t.add(a, st, &elb.SetLoadBalancerPoliciesForBackendServerInput{LoadBalancerName: awssdk.String(b.name), InstancePort: awssdk.Int32(port), PolicyNames: all})
}

// policy is the step that makes the policy; none when it is there.
func (t *turn) policy(a *ask, b *classicBalancer, name string, creates map[string]plan.ID) []plan.ID {
	if b.now.Policies != nil && slices.Contains(b.now.Policies.OtherPolicies, name) {
		return nil
	}
	if id, ok := creates[name]; ok {
		return []plan.ID{id}
	}
	in := &elb.CreateLoadBalancerPolicyInput{LoadBalancerName: awssdk.String(b.name), PolicyName: awssdk.String(name)}
	attribute := elbtypes.PolicyAttribute{AttributeName: awssdk.String("ProxyProtocol"), AttributeValue: awssdk.String("true")}
	in.PolicyTypeName = awssdk.String("ProxyProtocolPolicyType")
	if refers := names.TLSPolicyRefersTo(name); refers != "" {
		in.PolicyTypeName = awssdk.String("SSLNegotiationPolicyType")
		attribute = elbtypes.PolicyAttribute{AttributeName: awssdk.String("Reference-Security-Policy"), AttributeValue: awssdk.String(refers)}
	}
	in.PolicyAttributes = []elbtypes.PolicyAttribute{attribute}
	id := plan.ID{Kind: kindPolicy, Name: b.name + "/" + name}
	t.add(a, plan.Step{
		Action: plan.Create, Target: id, Needs: slices.Clone(b.needs),
		Why: []plan.Diff{{Field: *attribute.AttributeName, Want: *attribute.AttributeValue}},
	}, in)
	creates[name] = id
	return []plan.ID{id}
}
