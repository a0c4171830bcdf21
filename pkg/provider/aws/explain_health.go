// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"fmt"
	"slices"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing/types"
	elbv2types "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
)

// healthText is how a target is, in words: what AWS says, why, and what it may
// come from.
func (e *explanation) healthText(lb *Network, g *TargetGroup, x Target, h elbv2types.TargetHealth) string {
	if h.State == elbv2types.TargetHealthStateEnumHealthy {
		return "healthy"
	}
	why := awssdk.ToString(h.Description)
	switch h.Reason {
	case elbv2types.TargetHealthReasonEnumRegistrationInProgress:
		why = "it is being registered"
	case elbv2types.TargetHealthReasonEnumInitialHealthChecking:
		why = "it has not passed enough health checks yet"
	case elbv2types.TargetHealthReasonEnumDeregistrationInProgress:
		why = "its last connections end"
	case elbv2types.TargetHealthReasonEnumNotInUse:
		why = e.unusedText(lb, g, x)
	case elbv2types.TargetHealthReasonEnumInvalidState:
		why = "its instance is not running"
		if i := e.observed.Instances[x.ID]; i != nil && i.State != ec2types.InstanceStateNameRunning {
			why = "its instance is " + string(i.State)
		}
	case elbv2types.TargetHealthReasonEnumFailedHealthChecks, elbv2types.TargetHealthReasonEnumTimeout:
		why = "the health check gets no answer at port " + e.probedPort(g, x) + ": " + e.silenceText(g)
	case elbv2types.TargetHealthReasonEnumResponseCodeMismatch:
		why = strings.TrimSuffix("the health check gets another answer than it wants: "+why, ": ")
	case elbv2types.TargetHealthReasonEnumIpUnusable:
		why = "AWS uses the address for a load balancer itself"
	case elbv2types.TargetHealthReasonEnumHealthCheckDisabled:
		why = "health checks are switched off"
	case elbv2types.TargetHealthReasonEnumNotRegistered, elbv2types.TargetHealthReasonEnumInternalError:
	}
	text := string(h.State)
	if h.Reason != "" {
		text += fmt.Sprintf(" (%s)", h.Reason)
	}
	return strings.TrimSuffix(text+": "+why, ": ")
}

// unusedText is why a target that is registered gets nothing.
func (e *explanation) unusedText(lb *Network, g *TargetGroup, x Target) string {
	i := e.observed.Instances[x.ID]
	if len(g.LoadBalancerArns) == 0 || lb == nil {
		return "no listener forwards to the target group"
	}
	if i != nil && !slices.ContainsFunc(lb.AvailabilityZones, func(z elbv2types.AvailabilityZone) bool { return awssdk.ToString(z.ZoneName) == i.Zone }) {
		return "the load balancer has no subnet in zone " + i.Zone
	}
	return "the load balancer does not use its zone, or no listener forwards to the target group"
}

// probedPort is where a health check asks.
func (e *explanation) probedPort(g *TargetGroup, x Target) string {
	if port := awssdk.ToString(g.HealthCheckPort); port != trafficPort {
		return port
	}
	return fmt.Sprint(x.Port)
}

// silenceText is what a health check without an answer comes from.
func (e *explanation) silenceText(g *TargetGroup) string {
	if g.HealthCheckProtocol == elbv2types.ProtocolEnumHttp && awssdk.ToString(g.HealthCheckPath) == localPath && awssdk.ToString(g.HealthCheckPort) == fmt.Sprint(e.ask.item.Service.Spec.HealthCheckNodePort) {
		return "no endpoint of the Service is there, or nothing lets it in"
	}
	return "nothing listens there, or nothing lets it in"
}

// instanceText is how an instance of a classic load balancer is.
func instanceText(s elbtypes.InstanceState) string {
	state := awssdk.ToString(s.State)
	switch state {
	case "":
		return "registered"
	case "InService":
		return "healthy (InService)"
	}
	return strings.TrimSuffix(fmt.Sprintf("unhealthy (%s): %s", state, awssdk.ToString(s.Description)), ": ")
}
