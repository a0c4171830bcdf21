// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbv2types "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/aws/names"
)

// External is what the cloud config says of the Services of the AWS Load
// Balancer Controller.
type External struct {
	names.Controller
	// Told: the name of the cluster is told by the cloud config, or the cluster's
	// tag. Otherwise it is that of the flag, which may be its default.
	Told bool
	// Scheme, TargetType and TLSPolicy are those of Services that do not say
	// them.
	Scheme     elbv2types.LoadBalancerSchemeEnum
	TargetType elbv2types.TargetTypeEnum
	TLSPolicy  string
}

func newExternal(c *cloudconfig.AWSController, id, cluster string) External {
	out := External{
		Controller: names.Controller{Cluster: cmp.Or(c.ClusterName, id, cluster)}, Told: c.ClusterName != "" || id != "",
		Scheme: elbv2types.LoadBalancerSchemeEnumInternal, TargetType: elbv2types.TargetTypeEnumInstance, TLSPolicy: c.TLSPolicy,
	}
	if c.InternetFacing {
		out.Scheme = elbv2types.LoadBalancerSchemeEnumInternetFacing
	}
	if c.TargetType == cloudconfig.AWSAddresses {
		out.TargetType = elbv2types.TargetTypeEnumIp
	}
	return out
}

// beExternal makes an ask follow the rules of the AWS Load Balancer Controller.
// A load balancer that serves already is found by that controller's tags, or
// by the name that cloud-provider-aws gives.
func (t *turn) beExternal(a *ask) {
	svc := a.item.Service
	lb := t.externalNetwork(a)
	there := lb
	if name := intent.AWSNameOf(svc); lb == nil && name != "" {
		there = t.networksByName[name]
	}
	a.scheme = t.externalScheme(a, there)
	if lb != nil {
		a.name, a.place = awssdk.ToString(lb.LoadBalancerName), awssdk.ToString(lb.LoadBalancerName)
	} else {
		t.rename(a)
	}
	a.mine = t.madeByUs(a.name)
	a.tags = t.settings.External.Tags(t.moreTags(a), svc.Namespace, svc.Name)
}

// rename gives a load balancer that is made for a Service of the AWS Load
// Balancer Controller the name that it gives, in which the scheme is.
func (t *turn) rename(a *ask) {
	if !a.external || a.want != provider.Serve {
		return
	}
	svc := a.item.Service
	a.name = cmp.Or(a.text(intent.KeyAWSName), t.settings.External.LoadBalancer(svc.Namespace, svc.Name, svc.UID, string(a.scheme)))
	a.place = a.name
}

// externalNetwork is the load balancer of a Service that follows the AWS Load
// Balancer Controller; nil when there is none. One that it names no more is left
// to others that it serves.
func (t *turn) externalNetwork(a *ask) *Network {
	for _, lb := range t.sortedNetworks() {
		if !a.outlived && t.settings.External.OwnsFor(lb.Tags, a.key.Namespace, a.key.Name) && (a.want != provider.Serve || t.leftTo(a.item.Service, lb) == nil) {
			return lb
		}
	}
	return t.networksByName[a.base]
}

// formerNames are those that load balancers of the Service may have had that are
// gone, or go now: rules at the nodes may still bear them.
func (t *turn) formerNames(a *ask) []string {
	if t.settings.Claims != AlsoLoadBalancerController || a.outlived {
		return nil
	}
	svc := a.item.Service
	all := []string{a.base, a.written(intent.KeyAWSName)}
	for _, scheme := range []elbv2types.LoadBalancerSchemeEnum{elbv2types.LoadBalancerSchemeEnumInternal, elbv2types.LoadBalancerSchemeEnumInternetFacing} {
		all = append(all, t.settings.External.LoadBalancer(svc.Namespace, svc.Name, svc.UID, string(scheme)))
	}
	return slices.DeleteFunc(all, func(name string) bool {
		lb := t.networksByName[name]
		return name == "" || name == a.name || (lb != nil && lb != a.network)
	})
}

// externalScheme is what the annotations ask for, or else what there is, or
// what the cloud config says.
func (t *turn) externalScheme(a *ask, lb *Network) elbv2types.LoadBalancerSchemeEnum {
	switch intent.AWSInternal(a.item.Intent) {
	case intent.AWSInternalYes:
		return elbv2types.LoadBalancerSchemeEnumInternal
	case intent.AWSInternalNo:
		return elbv2types.LoadBalancerSchemeEnumInternetFacing
	case intent.AWSInternalUnset:
	}
	if lb != nil {
		return lb.Scheme
	}
	return t.settings.External.Scheme
}

// ownsFor reports whether the tags say that it was made for the Service, by us,
// or by a controller that we stand in for.
func (t *turn) ownsFor(a *ask, tags map[string]string) bool {
	byBase := t.settings.Tags.Unclaimed(tags) && a.base != "" && tags[names.TagBase] == a.base
	if byBase || t.settings.Tags.OwnsFor(tags, a.key.Namespace, a.key.Name) {
		return true
	}
	return t.settings.Claims == AlsoLoadBalancerController && t.settings.External.OwnsFor(tags, a.key.Namespace, a.key.Name)
}

// externalHealth is how the Service's nodes are probed, as the AWS Load
// Balancer Controller does it.
func (t *turn) externalHealth(a *ask) health {
	in := &a.item.Intent
	h := health{protocol: elbv2types.ProtocolEnumTcp, port: trafficPort, path: "/", interval: 10, timeout: 10, healthy: 3, unhealthy: 3}
	kind := t.targetKind(a)
	if in.Traffic == intent.Local && kind == elbv2types.TargetTypeEnumInstance {
		h = health{
			protocol: elbv2types.ProtocolEnumHttp, port: strconv.Itoa(int(in.HealthCheckNodePort)), path: localPath,
			interval: 10, timeout: 6, healthy: 2, unhealthy: 2,
		}
	}
	if protocol := a.text(intent.KeyAWSHealthProtocol); protocol != "" {
		h.protocol = elbv2types.ProtocolEnum(strings.ToUpper(protocol))
	}
	if port := a.healthPort(); port != "" {
		h.port = port
		for i := range in.Ports {
			if p := &in.Ports[i]; p.Name == port {
				h.port = strconv.Itoa(int(a.groupPort(p, kind)))
			}
		}
	}
	if path := a.text(intent.KeyAWSHealthPath); path != "" {
		h.path = path
	}
	h.codes = a.text(intent.KeyAWSHealthCodes)
	if h.protocol == elbv2types.ProtocolEnumTcp {
		h.path, h.codes = "", ""
	}
	h.healthy = a.number(intent.KeyAWSHealthyThreshold, h.healthy)
	h.unhealthy = a.number(intent.KeyAWSUnhealthyThreshold, h.unhealthy)
	h.interval = a.number(intent.KeyAWSHealthInterval, h.interval)
	h.timeout = a.number(intent.KeyAWSHealthTimeout, h.timeout)
	return h
}

// groupAttributes are those that annotations ask for, for the target group of a
// port.
func (a *ask) groupAttributes(m *mapping) map[string]string {
	out := a.pairs(intent.KeyAWSTargetGroupAttributes)
	if !a.external {
		return out
	}
	maps.Copy(out, a.pairs(intent.AWSTargetGroupAttributesKey(m.port)))
	ports := strings.Split(strings.ReplaceAll(a.written(intent.KeyAWSProxyProtocolPorts), " ", ""), ",")
	if _, set := out[attrProxyProtocol]; !set || a.has(intent.KeyAWSProxyProtocolPorts) {
		out[attrProxyProtocol] = strconv.FormatBool(slices.Contains(ports, strconv.Itoa(int(m.port))))
	}
	if a.text(intent.KeyAWSProxyProtocol) != "" {
		out[attrProxyProtocol] = "true"
	}
	return out
}

// freeExternalName is a name of a target group that is not taken.
func (t *turn) freeExternalName(a *ask, m *mapping, taken map[string]bool) string {
	g := names.ControllerGroup{
		Namespace: a.key.Namespace, Name: a.key.Name, UID: a.item.Service.UID, TargetPort: m.nodePort, Port: m.port,
		TargetType: string(m.kind), Protocol: string(m.target),
		HealthProtocol: string(m.health.protocol), HealthInterval: m.health.interval,
	}
	for taken[t.settings.External.TargetGroup(g)] {
		g.Again++
	}
	return t.settings.External.TargetGroup(g)
}

// putAddressType sets the families of the addresses of a load balancer that is
// there.
func (t *turn) putAddressType(a *ask, b *balancer) {
	want := a.addressType()
	if !a.external || !a.has(intent.KeyAWSIPAddressType) || b.have.IpAddressType == want {
		return
	}
	if err := a.familiesFit(t.subnetsOf(b.have)); err != nil && !a.has(intent.KeyAWSSubnets) { // which may be others soon
		t.refuse(a, err)
		return
	}
	if err := t.othersUDP(a, b.have); err != nil && want == elbv2types.IpAddressTypeDualstack {
		t.refuse(a, err)
		return
	}
	t.add(a, plan.Step{
		Action: plan.Update, Target: plan.ID{Kind: kindAddressType, Name: b.name},
		Why: []plan.Diff{{Field: "address type", Have: string(b.have.IpAddressType), Want: string(want)}},
	}, &elbv2.SetIpAddressTypeInput{LoadBalancerArn: b.have.LoadBalancerArn, IpAddressType: want})
}

// subnetsOf are the subnets of a load balancer that are known.
func (t *turn) subnetsOf(lb *Network) []*ec2types.Subnet {
	var out []*ec2types.Subnet
	for _, s := range t.sortedSubnets() {
		if slices.ContainsFunc(lb.AvailabilityZones, func(z elbv2types.AvailabilityZone) bool {
			return awssdk.ToString(z.SubnetId) == awssdk.ToString(s.SubnetId)
		}) {
			out = append(out, s)
		}
	}
	return out
}

// networkAttributes are those that annotations ask for. The peer sets two of
// them to their defaults otherwise; the AWS Load Balancer Controller does not.
func (a *ask) networkAttributes() map[string]string {
	out := a.pairs(intent.KeyAWSAttributes)
	if !a.external || a.has(intent.KeyAWSCrossZone) {
		out[attrCrossZone] = strconv.FormatBool(a.on(intent.KeyAWSCrossZone))
	}
	a.logAttributes(out)
	return out
}

// logAttributes are those of access logs. For the AWS Load Balancer Controller
// each annotation counts where it is written, and "false" where the list of
// attributes says nothing.
func (a *ask) logAttributes(out map[string]string) {
	on := a.on(intent.KeyAWSAccessLog)
	_, listed := out[attrLogs]
	if !a.external || on || (a.has(intent.KeyAWSAccessLog) && !listed) {
		out[attrLogs] = strconv.FormatBool(on)
	}
	for attr, key := range map[string]string{attrLogsBucket: intent.KeyAWSAccessLogBucket, attrLogsPrefix: intent.KeyAWSAccessLogPrefix} {
		if on && (!a.external || a.has(key)) {
			out[attr] = a.text(key)
		}
	}
}

// addressType is the families of the load balancer's addresses.
func (a *ask) addressType() elbv2types.IpAddressType {
	if a.external && a.text(intent.KeyAWSIPAddressType) == string(elbv2types.IpAddressTypeDualstack) {
		return elbv2types.IpAddressTypeDualstack
	}
	return elbv2types.IpAddressTypeIpv4
}
