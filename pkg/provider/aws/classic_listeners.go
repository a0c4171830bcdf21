// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"fmt"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing/types"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/plan"
)

// Protocols of classic load balancers, as AWS answers them.
const (
	classicTCP   = "TCP"
	classicSSL   = "SSL"
	classicHTTP  = "HTTP"
	classicHTTPS = "HTTPS"
)

// classicListener is one listener of a classic load balancer.
type classicListener struct {
	port, nodePort int32
	// protocol and backend are the protocols before and behind the load balancer.
	protocol, backend string
	certificate       string // ARN; empty without TLS
}

// classicListeners are those of the Service's ports.
func (a *ask) classicListeners() ([]classicListener, error) {
	in := &a.item.Intent
	var out []classicListener
	for i := range in.Ports {
		p := &in.Ports[i]
		if p.Proto != intent.TCP {
			return nil, refuse(ReasonUnsupported, "port %d is not TCP, which is all that classic load balancers forward; make a Service of type nlb (annotation %s), or take the port away", p.Port, intent.KeyAWSType)
		}
		if p.NodePort == 0 {
			a.warn(ReasonNoNodePort, fmt.Sprintf("port %d has no node port, so the load balancer does not serve it; set spec.allocateLoadBalancerNodePorts", p.Port))
			continue
		}
		out = append(out, a.classicListener(p))
	}
	if len(out) == 0 {
		return nil, refuse(ReasonNoNodePort, "no port of the Service has a node port, to which a classic load balancer forwards; set spec.allocateLoadBalancerNodePorts to true")
	}
	return out, nil
}

func (a *ask) classicListener(p *intent.Port) classicListener {
	l := classicListener{port: int32(p.Port), nodePort: int32(p.NodePort), protocol: classicTCP, backend: classicTCP}
	backend := strings.ToUpper(a.text(intent.KeyAWSBackendProtocol))
	if !intent.AWSTerminatesTLS(a.item.Intent, *p) {
		if backend == classicHTTP {
			l.protocol, l.backend = classicHTTP, classicHTTP
		}
		return l
	}
	l.certificate = a.list(intent.KeyAWSCertificates)[0]
	switch backend {
	case classicHTTP, classicHTTPS:
		l.protocol, l.backend = classicHTTPS, backend
	case classicSSL:
		l.protocol, l.backend = classicSSL, classicSSL
	default:
		l.protocol = classicSSL
	}
	return l
}

// String is the listener in a plan.
func (l *classicListener) String() string {
	return fmt.Sprintf("%s %d to %s %d", l.protocol, l.port, l.backend, l.nodePort)
}

// input is the listener as calls have it.
func (l *classicListener) input() elbtypes.Listener {
	out := elbtypes.Listener{
		LoadBalancerPort: l.port, InstancePort: awssdk.Int32(l.nodePort), Protocol: awssdk.String(l.protocol), InstanceProtocol: awssdk.String(l.backend),
	}
	if l.certificate != "" {
		out.SSLCertificateId = awssdk.String(l.certificate)
	}
	return out
}

// observedListener is a listener that is there. AWS answers in upper case what
// was asked for in any.
func observedListener(l *elbtypes.Listener) classicListener {
	return classicListener{
		port: l.LoadBalancerPort, nodePort: awssdk.ToInt32(l.InstancePort), certificate: awssdk.ToString(l.SSLCertificateId),
		protocol: strings.ToUpper(awssdk.ToString(l.Protocol)), backend: strings.ToUpper(awssdk.ToString(l.InstanceProtocol)),
	}
}

// sameTraffic reports whether both differ in their certificates at most.
func (l *classicListener) sameTraffic(other *classicListener) bool {
	return l.port == other.port && l.nodePort == other.nodePort && l.protocol == other.protocol && l.backend == other.backend
}

// putClassicListeners brings the listeners to what they shall be. AWS changes
// the certificate of one in place; all else of one is deleted and made again at
// once, so that its port is closed for as long as one call takes, and the other
// ports not at all.
func (t *turn) putClassicListeners(a *ask, b *classicBalancer) {
	had := map[int32]classicListener{}
	for i := range b.now.ListenerDescriptions {
		if l := b.now.ListenerDescriptions[i].Listener; l != nil {
			had[l.LoadBalancerPort] = observedListener(l)
		}
	}
	var replaced, surplus []int32
	var create []elbtypes.Listener
	var diffs []plan.Diff
	for i := range b.listeners {
		want := &b.listeners[i]
		have, ok := had[want.port]
		delete(had, want.port)
		if ok && want.sameTraffic(&have) {
			t.putCertificate(a, b, want, &have)
			continue
		}
		d := plan.Diff{Field: "listener", Want: want.String()}
		if ok {
			replaced = append(replaced, want.port)
			d.Have = have.String()
		}
		diffs = append(diffs, d)
		create = append(create, want.input())
		b.made[want.port] = true
	}
	for i := range b.now.ListenerDescriptions {
		l := b.now.ListenerDescriptions[i].Listener
		if l == nil {
			continue
		}
		if have, left := had[l.LoadBalancerPort]; left {
			surplus = append(surplus, l.LoadBalancerPort)
			diffs = append(diffs, plan.Diff{Field: "listener", Have: have.String()})
		}
	}
	calls := listenerCalls(b.name, replaced, create, surplus)
	if len(calls) == 0 {
		return
	}
	st := plan.Step{Action: plan.Update, Target: plan.ID{Kind: kindListeners, Name: b.name}, Needs: t.listenersNeed(a), Why: diffs}
	t.add(a, st, calls...)
	if len(create) > 0 {
		b.needs = append(b.needs, st.Target)
	}
}

// listenersNeed are the steps that let clients in, before there are listeners.
func (t *turn) listenersNeed(a *ask) []plan.ID {
	return append(t.targetsOfKind(a, kindGroupRules), t.grants(a)...)
}

func listenerCalls(name string, replaced []int32, create []elbtypes.Listener, surplus []int32) []Call {
	var out []Call
	drop := func(ports []int32) {
		if len(ports) > 0 {
			out = append(out, &elb.DeleteLoadBalancerListenersInput{LoadBalancerName: awssdk.String(name), LoadBalancerPorts: ports})
		}
	}
	drop(replaced)
	if len(create) > 0 {
		out = append(out, &elb.CreateLoadBalancerListenersInput{LoadBalancerName: awssdk.String(name), Listeners: create})
	}
	drop(surplus)
	return out
}

func (t *turn) putCertificate(a *ask, b *classicBalancer, want, have *classicListener) {
	if strings.EqualFold(want.certificate, have.certificate) {
		return
	}
	t.add(a, plan.Step{
		Action: plan.Update, Target: plan.ID{Kind: kindCertificate, Name: fmt.Sprintf("%s:%d", b.name, want.port)},
		Why: []plan.Diff{{Field: "certificate", Have: have.certificate, Want: want.certificate}},
	}, &elb.SetLoadBalancerListenerSSLCertificateInput{
		LoadBalancerName: awssdk.String(b.name), LoadBalancerPort: want.port, SSLCertificateId: awssdk.String(want.certificate),
	})
}
