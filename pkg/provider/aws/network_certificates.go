// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbv2types "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/plan"
)

// putCertificates sets the certificates beside the default one, of which the
// listener chooses by the name that a client asks for. Those that somebody
// added stay until the user edits the Service.
func (t *turn) putCertificates(a *ask, b *balancer, m *mapping) {
	if m.listener != elbv2types.ProtocolEnumTls {
		return
	}
	id := listenerID(b.name, int32(m.port))
	listener := Ref{Made: id}
	var have []string
	if l := listenerAt(b.have, m.port); l != nil {
		listener.ID = awssdk.ToString(l.ListenerArn)
		have = b.have.Certificates[listener.ID]
		if b.have.Certificates == nil && len(m.certificates) < 2 {
			return
		}
	}
	missing := beside(m.certificates[1:], have)
	surplus := beside(have, m.certificates)
	if !a.strict() {
		surplus = nil
	}
	var calls []Call
	if len(missing) > 0 {
		calls = append(calls, &elbv2.AddListenerCertificatesInput{ListenerArn: awssdk.String(listener.Text()), Certificates: certificatesOf(missing)})
	}
	if len(surplus) > 0 {
		calls = append(calls, &elbv2.RemoveListenerCertificatesInput{ListenerArn: awssdk.String(listener.Text()), Certificates: certificatesOf(surplus)})
	}
	if len(calls) == 0 {
		return
	}
	t.add(a, plan.Step{
		Action: plan.Update, Target: plan.ID{Kind: kindCertificates, Name: fmt.Sprintf("%s:%d", b.name, m.port)}, Needs: []plan.ID{id},
		Why: []plan.Diff{{Field: "certificates", Have: strings.Join(surplus, ", "), Want: strings.Join(missing, ", ")}},
	}, calls...)
}

// certificatesFit refuses certificates of ACM of another region, and those of
// another partition. Those of IAM have no region.
func (t *turn) certificatesFit(a *ask, arns ...string) error {
	for _, arn := range arns {
		fields := strings.SplitN(arn, ":", arnParts)
		if len(fields) < arnParts {
			continue
		}
		partition, service, region, problem := fields[1], fields[2], fields[3], ""
		switch here := t.partition(); {
		case strings.EqualFold(service, "acm") && t.settings.Region != "" && !strings.EqualFold(region, t.settings.Region):
			problem = fmt.Sprintf("%s is of region %s, and the load balancer of %s", fields[arnParts-1], region, t.settings.Region)
		case here != "" && !strings.EqualFold(partition, here):
			problem = fmt.Sprintf("%s is of partition %s, and the load balancer of %s", fields[arnParts-1], partition, here)
		}
		if problem != "" {
			return refuse(intent.ReasonInvalidAnnotation, "%s, but %s; request or import it there, and write that ARN", intent.AWSSays(a.item.Service, intent.KeyAWSCertificates), problem)
		}
	}
	return nil
}

// arnParts are those of arn:partition:service:region:account:resource.
const arnParts = 6

// partition is that of the account, as the subnets' ARNs tell; empty when they
// do not.
func (t *turn) partition() string {
	for i := range t.observed.Subnets {
		if fields := strings.SplitN(awssdk.ToString(t.observed.Subnets[i].SubnetArn), ":", arnParts); len(fields) == arnParts {
			return fields[1]
		}
	}
	return ""
}

// beside are the items of list that are not in other.
func beside(list, other []string) []string {
	var out []string
	for _, x := range list {
		if !slices.ContainsFunc(other, func(y string) bool { return strings.EqualFold(x, y) }) {
			out = append(out, x)
		}
	}
	return out
}

func certificatesOf(list []string) []elbv2types.Certificate {
	out := make([]elbv2types.Certificate, len(list))
	for i, arn := range list {
		out[i].CertificateArn = awssdk.String(arn)
	}
	return out
}

// learnCertificates notes the certificates beside the default one of a
// listener.
func (o *Observed) learnCertificates(in Call) {
	change := func(listener string, to func([]string) []string) {
		o.changeNetwork(o.listenerOwner(listener), func(n *Network) {
			if n.Certificates == nil {
				return // not read
			}
			all := map[string][]string{}
			maps.Copy(all, n.Certificates)
			all[listener] = to(all[listener])
			n.Certificates = all
		})
	}
	switch in := in.(type) {
	case *elbv2.AddListenerCertificatesInput:
		change(awssdk.ToString(in.ListenerArn), func(list []string) []string {
			return append(slices.Clone(list), beside(arnsOf(in.Certificates), list)...)
		})
	case *elbv2.RemoveListenerCertificatesInput:
		change(awssdk.ToString(in.ListenerArn), func(list []string) []string { return beside(list, arnsOf(in.Certificates)) })
	}
}

func arnsOf(list []elbv2types.Certificate) []string {
	out := make([]string, len(list))
	for i := range list {
		out[i] = awssdk.ToString(list[i].CertificateArn)
	}
	return out
}
