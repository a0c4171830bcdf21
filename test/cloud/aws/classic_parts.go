// SPDX-License-Identifier: Apache-2.0

package awssim

import (
	"slices"
	"strconv"
	"strings"
)

// addListeners judges listeners and adds them: one that is there in the same
// form is left.
func (c *Cloud) addListeners(b *classic, listeners []classicListener) *refusal {
	for _, l := range listeners {
		if refused := c.judgeClassicListener(&l); refused != nil {
			return refused
		}
		at := slices.IndexFunc(b.Listeners, func(o classicListenerPolicies) bool {
			return o.Listener.LoadBalancerPort == l.LoadBalancerPort
		})
		if at >= 0 {
			if b.Listeners[at].Listener != l {
				return bad("DuplicateListener", "A listener already exists for %s with LoadBalancerPort %d, but with different settings",
					b.LoadBalancerName, l.LoadBalancerPort)
			}
			continue
		}
		added := classicListenerPolicies{Listener: l}
		if secure(l.Protocol) {
			added.PolicyNames = []string{usualPolicy}
			if !slices.ContainsFunc(b.Defined, func(p policy) bool { return p.PolicyName == usualPolicy }) {
				b.Defined = append(b.Defined, referencePolicy(usualPolicy, usualPolicy))
				b.Policies.Others = append(b.Policies.Others, usualPolicy)
			}
		}
		b.Listeners = append(b.Listeners, added)
	}
	if len(b.Listeners) > c.limits.ClassicListeners {
		return unfit("The quota of %d listeners of a load balancer has been reached", c.limits.ClassicListeners)
	}
	return nil
}

func secure(protocol string) bool { return protocol == "SSL" || protocol == "HTTPS" }

// judgeClassicListener judges a listener, and brings it into its one form.
func (c *Cloud) judgeClassicListener(l *classicListener) *refusal {
	l.Protocol, l.InstanceProtocol = strings.ToUpper(l.Protocol), strings.ToUpper(l.InstanceProtocol)
	application := func(protocol string) bool { return protocol == "HTTP" || protocol == "HTTPS" }
	if l.InstanceProtocol == "" {
		l.InstanceProtocol = "TCP"
		if application(l.Protocol) {
			l.InstanceProtocol = "HTTP"
		}
	}
	known := []string{"TCP", "SSL", "HTTP", "HTTPS"}
	switch {
	case !slices.Contains(known, l.Protocol) || !slices.Contains(known, l.InstanceProtocol):
		return bad("UnsupportedProtocol", "The protocols '%s' and '%s' must be of TCP, SSL, HTTP, HTTPS", l.Protocol, l.InstanceProtocol)
	case application(l.Protocol) != application(l.InstanceProtocol):
		return unfit("Protocol '%s' and instance protocol '%s' must be of the same layer", l.Protocol, l.InstanceProtocol)
	case l.LoadBalancerPort < 1 || l.LoadBalancerPort > 65535 || l.InstancePort < 1 || l.InstancePort > 65535:
		return invalid("The ports '%d' and '%d' must be from 1 to 65535", l.LoadBalancerPort, l.InstancePort)
	case secure(l.Protocol):
		return c.judgeCertificate(l.SSLCertificateID)
	case l.SSLCertificateID != "":
		return unfit("A certificate cannot be specified for the protocol '%s'", l.Protocol)
	default:
		return nil
	}
}

type classicListenersIn struct {
	LoadBalancerName string
	Listeners        []classicListener
}

// createClassicListeners adds all the listeners or none.
func (c *Cloud) createClassicListeners(in classicListenersIn) (any, *refusal) {
	old, refused := c.classic(in.LoadBalancerName)
	if refused != nil {
		return nil, refused
	}
	b := clone(old)
	if refused := c.addListeners(b, in.Listeners); refused != nil {
		return nil, refused
	}
	c.classics.put(b.LoadBalancerName, b, c.now())
	return nil, nil
}

type deleteClassicListenersIn struct {
	LoadBalancerName  string
	LoadBalancerPorts []int
}

// deleteClassicListeners deletes what is there.
func (c *Cloud) deleteClassicListeners(in deleteClassicListenersIn) (any, *refusal) {
	if _, refused := c.classic(in.LoadBalancerName); refused != nil {
		return nil, refused
	}
	c.classics.edit(in.LoadBalancerName, c.now(), func(b *classic) {
		b.Listeners = slices.DeleteFunc(b.Listeners, func(l classicListenerPolicies) bool {
			return slices.Contains(in.LoadBalancerPorts, l.Listener.LoadBalancerPort)
		})
	})
	return nil, nil
}

type setClassicCertificateIn struct {
	LoadBalancerName string
	LoadBalancerPort int
	SSLCertificateID string `json:"SSLCertificateId"`
}

func (c *Cloud) setClassicCertificate(in setClassicCertificateIn) (any, *refusal) {
	b, refused := c.classic(in.LoadBalancerName)
	if refused != nil {
		return nil, refused
	}
	if refused := c.judgeCertificate(in.SSLCertificateID); refused != nil {
		return nil, refused
	}
	at := listenerAt(b, in.LoadBalancerPort)
	switch {
	case at < 0:
		return nil, noClassicListener(in.LoadBalancerPort)
	case !secure(b.Listeners[at].Listener.Protocol):
		return nil, unfit("A certificate cannot be specified for the protocol '%s'", b.Listeners[at].Listener.Protocol)
	}
	c.classics.edit(in.LoadBalancerName, c.now(), func(b *classic) {
		b.Listeners[at].Listener.SSLCertificateID = in.SSLCertificateID
	})
	return nil, nil
}

func listenerAt(b *classic, port int) int {
	return slices.IndexFunc(b.Listeners, func(l classicListenerPolicies) bool { return l.Listener.LoadBalancerPort == port })
}

func noClassicListener(port int) *refusal {
	return bad("ListenerNotFound", "There is no listener with LoadBalancerPort %d", port)
}

type instancesIn struct {
	LoadBalancerName string
	Instances        []instanceRef
}

type instancesOut struct {
	Instances []instanceRef
}

// registerInstances registers all the machines or none; those that are there
// already are no error.
func (c *Cloud) registerInstances(in instancesIn) (any, *refusal) {
	old, refused := c.classic(in.LoadBalancerName)
	if refused != nil {
		return nil, refused
	}
	if len(in.Instances) == 0 {
		return nil, invalid("At least one instance must be specified")
	}
	b := clone(old)
	for _, ref := range in.Instances {
		m := c.instances.get(ref.InstanceID)
		if m == nil || m.State.Name == terminated {
			return nil, bad("InvalidInstance", "Could not find EC2 instance %s.", ref.InstanceID)
		}
		if m.VPCID != b.VPCID {
			return nil, bad("InvalidInstance", "EC2 instance %s is not in the same VPC as ELB.", ref.InstanceID)
		}
		if !slices.Contains(b.Instances, ref) {
			b.Instances = append(b.Instances, ref)
		}
	}
	if len(b.Instances) > c.limits.InstancesPerClassic {
		return nil, unfit("The quota of %d instances of a load balancer has been reached", c.limits.InstancesPerClassic)
	}
	slices.SortFunc(b.Instances, func(x, y instanceRef) int { return strings.Compare(x.InstanceID, y.InstanceID) })
	c.classics.put(b.LoadBalancerName, b, c.now())
	return instancesOut{Instances: b.Instances}, nil
}

// deregisterInstances refuses machines that never were; those that are not
// registered are no error.
func (c *Cloud) deregisterInstances(in instancesIn) (any, *refusal) {
	old, refused := c.classic(in.LoadBalancerName)
	if refused != nil {
		return nil, refused
	}
	if len(in.Instances) == 0 {
		return nil, invalid("At least one instance must be specified")
	}
	for _, ref := range in.Instances {
		if c.instances.get(ref.InstanceID) == nil && !slices.Contains(old.Instances, ref) {
			return nil, bad("InvalidInstance", "Could not find EC2 instance %s.", ref.InstanceID)
		}
	}
	b := clone(old)
	b.Instances = slices.DeleteFunc(b.Instances, func(ref instanceRef) bool { return slices.Contains(in.Instances, ref) })
	c.classics.put(b.LoadBalancerName, b, c.now())
	return instancesOut{Instances: b.Instances}, nil
}

type instanceState struct {
	Description string
	InstanceID  string `json:"InstanceId"`
	ReasonCode  string
	State       string
}

type instanceHealthOut struct {
	InstanceStates []instanceState
}

func (c *Cloud) describeInstanceHealth(in instancesIn) (any, *refusal) {
	b := c.classics.at(in.LoadBalancerName, c.seen(ELB))
	if b == nil {
		return nil, noClassic(in.LoadBalancerName)
	}
	asked := in.Instances
	if len(asked) == 0 {
		asked = b.Instances
	}
	from := c.classicProber(b)
	out := instanceHealthOut{}
	for _, ref := range asked {
		if !slices.Contains(b.Instances, ref) {
			return nil, bad("InvalidInstance", "Instance %s is not registered with the load balancer", ref.InstanceID)
		}
		out.InstanceStates = append(out.InstanceStates, c.instanceState(b, from, ref.InstanceID))
	}
	return out, nil
}

func (c *Cloud) instanceState(b *classic, from prober, id string) instanceState {
	s := instanceState{InstanceID: id, State: "OutOfService", ReasonCode: "Instance"}
	m := c.instances.get(id)
	protocol, rest, _ := strings.Cut(b.HealthCheck.Target, ":")
	port, path, _ := strings.Cut(rest, "/")
	number, _ := strconv.Atoi(port)
	check := HealthCheck{Balancer: b.LoadBalancerName, Target: id, Protocol: protocol, Port: number}
	if strings.HasPrefix(protocol, "HTTP") {
		check.Path = "/" + path
	}
	switch {
	case m == nil || m.State.Name != running:
		s.Description = "Instance is in stopped state."
	case !slices.Contains(from.zones, m.Placement.AvailabilityZone):
		s.ReasonCode, s.Description = "ELB", "Instance is in the EC2 Availability Zone for which LoadBalancer is not configured to route traffic to."
	case !c.passes(check, from, m):
		s.Description = "Instance has failed at least the UnhealthyThreshold number of health checks consecutively."
	default:
		s.State, s.ReasonCode, s.Description = "InService", "N/A", "N/A"
	}
	return s
}
