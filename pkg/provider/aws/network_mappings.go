// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"cmp"
	"fmt"
	"strings"

	elbv2types "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/fairlead/fairlead/pkg/intent"
)

// mapping is one listener of a network load balancer and the target group that
// it forwards to.
type mapping struct {
	// port is the listener's, nodePort that of the target group: the node port,
	// or with addresses of pods the port of the pods, 1 where it has a name.
	port, nodePort uint16
	kind           elbv2types.TargetTypeEnum
	// family is that of the targets' addresses, and families those that they have.
	family   elbv2types.TargetGroupIpAddressTypeEnum
	families []elbv2types.TargetGroupIpAddressTypeEnum
	name     string // of the Service's port
	// listener and target are the protocols before and behind the load balancer.
	listener, target elbv2types.ProtocolEnum
	certificates     []string // ARNs; the first is the default one
	policy           string   // of TLS; empty: AWS's default
	alpn             string   // empty: not asked for
	health           health
	// before is how the peer would probe; it differs from health where the peer
	// is wrong.
	before health
	// plain: the peer took the port for one without TLS, since the item in the
	// annotation has a space.
	plain bool
	group groupRef // once it is known
}

// mappings are those of the Service's ports.
func (t *turn) mappingsOf(a *ask) ([]*mapping, error) {
	kind := t.targetKind(a)
	in := &a.item.Intent
	var out []*mapping
	for i := range in.Ports {
		p := &in.Ports[i]
		if p.NodePort == 0 && kind == elbv2types.TargetTypeEnumInstance {
			a.warn(ReasonNoNodePort, fmt.Sprintf("port %d has no node port, so the load balancer does not serve it; set spec.allocateLoadBalancerNodePorts", p.Port))
			continue
		}
		m, err := t.mapping(a, p, kind)
		if err != nil {
			return nil, err
		}
		if other := at(out, p.Port); other != nil {
			if err := other.join(a, m); err != nil {
				return nil, err
			}
			continue
		}
		out = append(out, m)
	}
	for _, m := range out {
		if m.plain && !a.strict() {
			continue
		}
		if err := t.certificatesFit(a, m.certificates...); err != nil {
			return nil, err
		}
	}
	if len(out) == 0 {
		return nil, refuse(ReasonNoNodePort, "no port of the Service has a node port, which targets of a network load balancer are; set spec.allocateLoadBalancerNodePorts to true")
	}
	return out, nil
}

func at(list []*mapping, port uint16) *mapping {
	for _, m := range list {
		if m.port == port {
			return m
		}
	}
	return nil
}

// join makes one listener of two ports with one number: AWS has TCP_UDP for
// it, with one node port, and never TLS: the peer has no such port, and the AWS
// Load Balancer Controller leaves TLS out.
func (m *mapping) join(a *ask, other *mapping) error {
	if m.nodePort != other.nodePort {
		return refuse(ReasonProtocolMix, "port %d is TCP with node port %d and UDP with node port %d, but one listener serves both with one node port; give both ports of the Service the same nodePort, or different numbers",
			m.port, m.tcp(other).nodePort, m.udp(other).nodePort)
	}
	tls := m.tcp(other).listener == elbv2types.ProtocolEnumTls
	if tls && !a.external {
		return refuse(ReasonProtocolMix, "port %d is UDP and TLS, which one listener cannot be; leave it out of annotation %s", m.port, intent.KeyAWSTLSPorts)
	}
	if tls {
		cure := "leave it out of annotation "
		if ports := a.list(intent.KeyAWSTLSPorts); len(ports) == 0 || ports[0] == "*" {
			cure = "give UDP another port, or name the ports with TLS in annotation "
		}
		a.warn(ReasonProtocolMix, fmt.Sprintf("port %d is UDP too, so it is served without TLS; %s%s", m.port, cure, intent.KeyAWSTLSPorts))
	}
	*m = *m.tcp(other)
	m.certificates, m.policy, m.alpn, m.plain = nil, "", "", false
	m.listener, m.target = elbv2types.ProtocolEnumTcpUdp, elbv2types.ProtocolEnumTcpUdp
	return nil
}

func (m *mapping) tcp(other *mapping) *mapping {
	if m.target == elbv2types.ProtocolEnumUdp {
		return other
	}
	return m
}

func (m *mapping) udp(other *mapping) *mapping {
	if m.target == elbv2types.ProtocolEnumUdp {
		return m
	}
	return other
}

func (t *turn) mapping(a *ask, p *intent.Port, kind elbv2types.TargetTypeEnum) (*mapping, error) {
	s := t.settings
	m := &mapping{port: p.Port, nodePort: a.groupPort(p, kind), kind: kind, families: a.groupFamilies(), name: p.Name}
	m.family = m.families[0]
	switch p.Proto {
	case intent.TCP:
		m.listener, m.target = elbv2types.ProtocolEnumTcp, elbv2types.ProtocolEnumTcp
	case intent.UDP:
		m.listener, m.target = elbv2types.ProtocolEnumUdp, elbv2types.ProtocolEnumUdp
	case intent.SCTP:
		return nil, refuse(ReasonUnsupported, "port %d is SCTP, which AWS's load balancers do not forward; use TCP or UDP", p.Port)
	}
	m.before = t.healthOf(a)
	m.health = m.before.of(kind, m.target, s)
	if err := a.healthFits(m.health); err != nil {
		return nil, err
	}
	if p.Proto == intent.TCP && intent.AWSTerminatesTLS(a.item.Intent, *p) {
		m.plain = !a.onTLSForPeer(p)
		m.listener, m.certificates, m.policy = elbv2types.ProtocolEnumTls, a.list(intent.KeyAWSCertificates), a.text(intent.KeyAWSTLSPolicy)
		m.alpn = a.text(intent.KeyAWSALPNPolicy)
		if a.external {
			m.policy, m.plain = cmp.Or(m.policy, s.External.TLSPolicy), false
		}
		if a.text(intent.KeyAWSBackendProtocol) == "ssl" {
			m.target = elbv2types.ProtocolEnumTls
		}
	}
	return m, nil
}

// onTLSForPeer reports whether the peer takes the port for one with TLS: it
// does not trim the items of the annotation.
func (a *ask) onTLSForPeer(p *intent.Port) bool {
	raw := a.written(intent.KeyAWSTLSPorts)
	if raw == "" || raw == "*" {
		return true
	}
	return intent.AWSNames(strings.Split(raw, ","), a.item.Intent.AWS, *p)
}
