// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"fmt"
	"slices"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	elbv2types "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
)

// followNetwork computes the steps of a Service that a load balancer serves of
// which another one is the head.
func (t *turn) followNetwork(a *ask) error {
	lb := a.share.lb
	if err := t.keepsType(a, lb); err != nil {
		return err
	}
	b, err := t.sharedBalancer(a)
	if err != nil {
		return err
	}
	if a.mappings, err = t.mappingsOf(a); err != nil {
		return err
	}
	a.network = lb
	if lb == nil || !shows(a.item.Service, lb.DNSName) {
		t.warnNewHostname(a, fmt.Sprintf("load balancer %s serves the Service from now on", a.name))
	}
	if err := t.carriesUDP(a, lb); err != nil {
		return err
	}
	t.takeFromHead(a)
	if err := t.portsFree(a, lb); err != nil {
		return err
	}
	a.warnOfHead()
	if a.share.clients == nil && len(a.groups) > 0 {
		a.judges = "Service " + provider.KeyOf(a.share.head).String()
	}
	if err := t.putClientRules(a); err != nil {
		return err
	}
	t.putPartTags(a)
	t.putParts(a, b)
	return nil
}

// sharedBalancer is the load balancer that the head has, or makes in this pass.
func (t *turn) sharedBalancer(a *ask) (*balancer, error) {
	s := a.share
	head, b := t.inBatch[provider.KeyOf(s.head)], &balancer{name: s.name, have: s.lb}
	var scheme elbv2types.LoadBalancerSchemeEnum
	switch {
	case s.lb != nil:
		b.ref.ID, scheme = awssdk.ToString(s.lb.LoadBalancerArn), s.lb.Scheme
	case head != nil && head.want == provider.Serve:
		b.ref.Made, scheme = b.target(), head.scheme
	default:
		return nil, &plan.Error{Kind: plan.Transient, Reason: ReasonWaitsForLoadBalancer, Err: fmt.Errorf(
			"load balancer %s is made with Service %s, the oldest that names it, which is %s; this Service waits for it", s.name, provider.KeyOf(s.head), t.waitsFor(provider.KeyOf(s.head)))}
	}
	if intent.AWSInternal(a.item.Intent) == intent.AWSInternalUnset {
		a.scheme = scheme
	}
	if scheme != a.scheme {
		return nil, refuse(ReasonConflictingAnnotations, "load balancer %s is %s, and the annotations ask for %s; Service %s decides that: change it there, take the annotation away here, or choose another name in annotation %s",
			s.name, scheme, a.scheme, provider.KeyOf(s.head), intent.KeyAWSName)
	}
	return b, nil
}

// waitsFor is why a head did not make its load balancer.
func (t *turn) waitsFor(head plan.Key) string {
	if err := t.refusedBefore[head]; err != nil {
		return "refused: " + err.Error()
	}
	if t.inBatch[head] != nil {
		return "refused, as its events say"
	}
	return "not served yet"
}

// takeFromHead fills in what the head decides.
func (t *turn) takeFromHead(a *ask) {
	if head := t.inBatch[provider.KeyOf(a.share.head)]; head != nil && head.want == provider.Serve {
		a.groups, a.subnets = head.groups, head.subnets
		return
	}
	a.groups = append(a.groups, refsTo(a.network.SecurityGroups)...)
	a.subnets = a.network.subnets()
	if g := t.clientsOf(a.network); g != nil && written(a.share.head, intent.KeyAWSSecurityGroups) == "" {
		a.share.clients = &clientGroup{name: awssdk.ToString(g.GroupName), ref: Ref{ID: awssdk.ToString(g.GroupId)}}
	}
}

// headKeys are the annotations that say what is the load balancer's. The scheme
// is looked at apart.
func headKeys() []string {
	return []string{
		intent.KeyAWSSubnets, intent.KeyAWSElasticIPs, intent.KeyAWSPrivateIPv4s, intent.KeyAWSIPv6s, intent.KeyAWSIPAddressType,
		intent.KeyAWSAttributes, intent.KeyAWSCrossZone, intent.KeyAWSAccessLog, intent.KeyAWSAccessLogBucket, intent.KeyAWSAccessLogPrefix,
		intent.KeyAWSSecurityGroups, intent.KeyAWSNoSecurityGroup, intent.KeyAWSManageBackendRules, intent.KeyAWSPrivateLinkRules, intent.KeyAWSPathMTURule,
	}
}

// written is the text of an annotation; empty when it is not there.
func written(svc *v1.Service, key string) string {
	text, _ := intent.AWSWritten(svc, key)
	return text
}

// warnOfHead tells of annotations that have no effect, as the head says
// otherwise.
func (a *ask) warnOfHead() {
	var keys []string
	for _, key := range headKeys() {
		if text := a.written(key); text != "" && text != written(a.share.head, key) {
			keys = append(keys, key)
		}
	}
	if len(keys) > 0 {
		a.warn(ReasonSharedLoadBalancer, fmt.Sprintf("load balancer %s is shared, and Service %s decides what is said by %s; set it there", a.share.name, provider.KeyOf(a.share.head), strings.Join(keys, ", ")))
	}
}

// listenersMax is how many listeners a network load balancer has at most:
// Elastic Load Balancing, quotas for network load balancers.
const listenersMax = 50

// portsFree refuses a port that another Service has, and more listeners than AWS
// takes. A Service that is served at a port keeps it; of those that come
// together the oldest gets it.
func (t *turn) portsFree(a *ask, lb *Network) error {
	ports := map[int32]bool{}
	grows := false
	for _, m := range a.mappings {
		if holder, taken := t.portHolder(a, m.port); taken {
			return refuse(ReasonPortConflict, "port %d of load balancer %s is that of Service %s; choose another port, or another name in annotation %s", m.port, a.name, holder, intent.KeyAWSName)
		}
		ports[int32(m.port)] = true
		grows = grows || listenerAt(lb, m.port) == nil
	}
	if lb != nil {
		for i := range lb.Listeners {
			if l := &lb.Listeners[i]; !t.ownsListener(a, l) {
				ports[awssdk.ToInt32(l.Port)] = true
			}
		}
	}
	for _, x := range t.rivals(a) {
		for i := range x.item.Intent.Ports {
			ports[int32(x.item.Intent.Ports[i].Port)] = true
		}
	}
	if grows && len(ports) > listenersMax {
		cure := "choose another name in annotation " + intent.KeyAWSName
		if len(a.mappings) > listenersMax {
			cure = "give some of them to another Service"
		}
		return &plan.Error{Kind: plan.Exhausted, Reason: ReasonLimitReached, Err: fmt.Errorf(
			"load balancer %s would have %d listeners, and AWS gives it at most %d; take ports away, or %s", a.name, len(ports), listenersMax, cure)}
	}
	return nil
}

// rivals are the older Services of the batch that are served by the same load
// balancer.
func (t *turn) rivals(a *ask) []*ask {
	var out []*ask
	for _, x := range t.asks {
		if x == a {
			break
		}
		if a.share != nil && x.share == a.share && t.refused[x.key] == nil {
			out = append(out, x)
		}
	}
	return out
}

// portHolder is the other Service that has the port.
func (t *turn) portHolder(a *ask, port uint16) (plan.Key, bool) {
	if a.share == nil {
		return plan.Key{}, false
	}
	if l := listenerAt(a.share.lb, port); l != nil {
		key, ok := t.listenerOf(l)
		if ok && key == a.key {
			return key, false
		}
		if svc := a.share.member(key); ok && svc != nil && hasPort(svc, port) {
			return key, true
		}
	}
	for _, x := range t.rivals(a) {
		if hasPort(x.item.Service, port) {
			return x.key, true
		}
	}
	return plan.Key{}, false
}

func hasPort(svc *v1.Service, port uint16) bool {
	return slices.ContainsFunc(svc.Spec.Ports, func(p v1.ServicePort) bool { return p.Port == int32(port) })
}

// listenerOf is the Service whose target group the listener forwards to.
func (t *turn) listenerOf(l *elbv2types.Listener) (plan.Key, bool) {
	g := t.observed.TargetGroups[forwardsTo(l)]
	if g == nil {
		return plan.Key{}, false
	}
	return t.serviceOf(g.Tags)
}
