// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbv2types "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/aws/names"
)

// listenerAt is the load balancer's listener on the port; nil when there is
// none.
func listenerAt(lb *Network, port uint16) *elbv2types.Listener {
	if lb == nil {
		return nil
	}
	for i := range lb.Listeners {
		if awssdk.ToInt32(lb.Listeners[i].Port) == int32(port) {
			return &lb.Listeners[i]
		}
	}
	return nil
}

// forwardsTo is the ARN of the target group that the listener sends all to;
// empty when it does something else.
func forwardsTo(l *elbv2types.Listener) string {
	if l == nil || len(l.DefaultActions) != 1 || l.DefaultActions[0].Type != elbv2types.ActionTypeEnumForward {
		return ""
	}
	action := &l.DefaultActions[0]
	if arn := awssdk.ToString(action.TargetGroupArn); arn != "" {
		return arn
	}
	if f := action.ForwardConfig; f != nil && len(f.TargetGroups) == 1 {
		return awssdk.ToString(f.TargetGroups[0].TargetGroupArn)
	}
	return ""
}

func forward(g groupRef) []elbv2types.Action {
	return []elbv2types.Action{{Type: elbv2types.ActionTypeEnumForward, TargetGroupArn: awssdk.String(g.ref.Text())}}
}

func listenerID(lb string, port int32) plan.ID {
	return plan.ID{Kind: kindListener, Name: fmt.Sprintf("%s:%d", lb, port)}
}

// noALPN is the policy of a listener that negotiates no protocol, as when none is
// asked for: AWS, ALPN policies of TLS listeners.
const noALPN = "None"

// resetsTLS reports whether policies that no annotation asks for go back to the
// usual ones. cloud-provider-aws leaves them, so they may be set by hand.
func (a *ask) resetsTLS() bool {
	return a.mine || a.item.Cause == provider.Repair || (a.external && a.strict())
}

// putListener brings the listener of a mapping to what it shall be.
func (t *turn) putListener(a *ask, b *balancer, m *mapping) {
	var certificates []elbv2types.Certificate
	if len(m.certificates) > 0 {
		certificates = []elbv2types.Certificate{{CertificateArn: awssdk.String(m.certificates[0])}}
	}
	st := plan.Step{
		Action: plan.Create, Target: listenerID(b.name, int32(m.port)),
		Needs: append(b.needs(), m.group.target(), plan.ID{Kind: kindTargets, Name: m.group.name}, plan.ID{Kind: kindAddressType, Name: b.name}),
	}
	l := listenerAt(b.have, m.port)
	usual := m.listener == elbv2types.ProtocolEnumTls && a.resetsTLS()
	if usual && m.policy == "" {
		m.policy = usualTLSPolicy // an omitted one would be left as it is
	}
	if l == nil {
		in := &elbv2.CreateListenerInput{
			LoadBalancerArn: awssdk.String(b.ref.Text()), Port: awssdk.Int32(int32(m.port)), Protocol: m.listener,
			DefaultActions: forward(m.group), Certificates: certificates, Tags: elbv2Tags(names.As(a.tags, strconv.Itoa(int(m.port)))),
		}
		if m.alpn != "" {
			in.AlpnPolicy = []string{m.alpn}
		}
		if m.policy != "" {
			in.SslPolicy = awssdk.String(m.policy)
		}
		st.Why = []plan.Diff{{Field: "listener", Want: fmt.Sprintf("%s to %s", m.listener, m.group.name)}}
		t.add(a, st, in)
		return
	}
	if m.plain && !a.strict() && l.Protocol == elbv2types.ProtocolEnumTcp {
		a.warn(ReasonAdoptedAsIs, fmt.Sprintf("port %d is served without TLS, as annotation %s has a space before it; it stays so until the Service is edited; set annotation %s for that", m.port, intent.KeyAWSTLSPorts, intent.KeyRepair))
		m.listener, certificates, m.policy = elbv2types.ProtocolEnumTcp, nil, ""
	}
	if usual && m.alpn == "" {
		m.alpn = noALPN
	}
	st.Why = t.listenerDiffs(m, l)
	if len(st.Why) == 0 {
		return
	}
	in := &elbv2.ModifyListenerInput{ListenerArn: l.ListenerArn, Protocol: m.listener, DefaultActions: forward(m.group), Certificates: certificates}
	if m.policy != "" {
		in.SslPolicy = awssdk.String(m.policy)
	}
	if m.alpn != "" {
		in.AlpnPolicy = []string{m.alpn}
	}
	st.Action = plan.Update
	st.Needs = append(st.Needs, t.grants(a)...)
	t.add(a, st, in)
}

// listenerDiffs are what differs. A policy counts when it is asked for, or the
// usual one is to be set: else AWS has chosen one.
func (t *turn) listenerDiffs(m *mapping, l *elbv2types.Listener) []plan.Diff {
	var out []plan.Diff
	compare := func(field, have, want string) {
		if have != want {
			out = append(out, plan.Diff{Field: field, Have: have, Want: want})
		}
	}
	compare("protocol", string(l.Protocol), string(m.listener))
	if have := forwardsTo(l); have != m.group.ref.Text() {
		compare("target group", t.groupName(have), m.group.name)
	}
	if m.listener != elbv2types.ProtocolEnumTls {
		return out
	}
	if m.policy != "" {
		compare("policy", awssdk.ToString(l.SslPolicy), m.policy)
	}
	if m.alpn != "" {
		compare("ALPN", cmp.Or(strings.Join(l.AlpnPolicy, ", "), noALPN), m.alpn)
	}
	var certificate string
	if len(l.Certificates) > 0 {
		certificate = awssdk.ToString(l.Certificates[0].CertificateArn)
	}
	if !strings.EqualFold(certificate, m.certificates[0]) {
		compare("certificate", certificate, m.certificates[0])
	}
	return out
}

// groupName is the name of a target group; its ARN when it is not known.
func (t *turn) groupName(arn string) string {
	if g, ok := t.observed.TargetGroups[arn]; ok {
		return awssdk.ToString(g.TargetGroupName)
	}
	return arn
}

// dropListeners deletes those on ports that the Service does not have, and that
// are not another one's.
func (t *turn) dropListeners(a *ask, lb *Network) {
	for i := range lb.Listeners {
		l := &lb.Listeners[i]
		port := awssdk.ToInt32(l.Port)
		if at(a.mappings, uint16(port)) != nil || !t.ownsListener(a, l) || t.movesOn(a, lb, port) { //nolint:gosec // AWS has ports up to 65535
			continue
		}
		t.add(a, plan.Step{
			Action: plan.Delete, Target: listenerID(awssdk.ToString(lb.LoadBalancerName), port),
			Why: []plan.Diff{{Field: "listener", Have: fmt.Sprintf("%s to %s", l.Protocol, t.groupName(forwardsTo(l)))}},
		}, &elbv2.DeleteListenerInput{ListenerArn: l.ListenerArn})
	}
}
