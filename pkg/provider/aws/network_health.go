// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	elbv2 "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2"
	elbv2types "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/plan"
)

// trafficPort is the port of a health check that follows the target's.
const trafficPort = "traffic-port"

// localPath is where kube-proxy answers for a Service with
// externalTrafficPolicy Local.
const localPath = "/healthz"

// health is how a target group probes its targets.
type health struct {
	protocol           elbv2types.ProtocolEnum
	port, path         string // path is that of HTTP and HTTPS
	interval           int32  // seconds
	timeout            int32  // seconds; 0: AWS's default
	healthy, unhealthy int32  // probes in a row
	codes              string // of HTTP and HTTPS; empty: AWS's default
}

// healthOf is how the Service's nodes are probed, as the peer does it.
func (t *turn) healthOf(a *ask) health {
	if a.external {
		return t.externalHealth(a)
	}
	s := t.settings
	in := &a.item.Intent
	local := in.Traffic == intent.Local
	h := health{protocol: elbv2types.ProtocolEnumTcp, port: trafficPort, path: "/", interval: 30, healthy: 3, unhealthy: 3}
	if local {
		h = health{protocol: elbv2types.ProtocolEnumHttp, port: strconv.Itoa(int(in.HealthCheckNodePort)), path: localPath, interval: 10, healthy: 2, unhealthy: 2}
	}
	if protocol := strings.ToUpper(a.text(intent.KeyAWSHealthProtocol)); protocol != "" {
		h.protocol = elbv2types.ProtocolEnum(protocol)
	}
	if port := a.healthPort(); port != "" {
		h.port = port
	}
	if path := a.text(intent.KeyAWSHealthPath); path != "" {
		h.path = path
	}
	if s.Probes == SharedProbe && !local {
		h.protocol, h.port, h.path = elbv2types.ProtocolEnumHttp, strconv.Itoa(int(s.SharedProbePort)), s.SharedProbePath
	}
	if h.protocol == elbv2types.ProtocolEnumTcp {
		h.path = ""
	}
	h.healthy = a.number(intent.KeyAWSHealthyThreshold, h.healthy)
	h.unhealthy = a.number(intent.KeyAWSUnhealthyThreshold, h.unhealthy)
	h.interval = a.number(intent.KeyAWSHealthInterval, h.interval)
	h.timeout = a.number(intent.KeyAWSHealthTimeout, 0)
	return h
}

// of is how targets of the protocol are probed: nothing answers TCP on a node
// port of UDP, so kube-proxy does it on its own.
func (h health) of(kind elbv2types.TargetTypeEnum, protocol elbv2types.ProtocolEnum, s *Settings) health {
	if kind == elbv2types.TargetTypeEnumInstance && protocol == elbv2types.ProtocolEnumUdp && h.protocol == elbv2types.ProtocolEnumTcp && h.port == trafficPort {
		h.protocol, h.port, h.path = elbv2types.ProtocolEnumHttp, strconv.Itoa(int(s.SharedProbePort)), s.SharedProbePath
	}
	return h
}

// statusCodes are those that AWS takes for healthy answers of targets of network
// load balancers: Elastic Load Balancing, Matcher.
var statusCodes = regexp.MustCompile(`^[2-5][0-9]{2}(-[2-5][0-9]{2})?(,[2-5][0-9]{2}(-[2-5][0-9]{2})?)*$`)

// healthFits refuses what AWS does not take of a health check, where it counts.
func (a *ask) healthFits(h health) error {
	allowed := ""
	switch {
	case h.codes == "":
	case !statusCodes.MatchString(h.codes):
		allowed = "status codes from 200 to 599"
	case upsideDown(h.codes):
		allowed = "ranges of status codes with the lower one first"
	}
	if allowed != "" {
		return refuse(intent.ReasonInvalidAnnotation, "%s, but must be %s; write them like \"200-399\" or \"200,202\", or remove the annotation", intent.AWSSays(a.item.Service, intent.KeyAWSHealthCodes), allowed)
	}
	if h.path != a.text(intent.KeyAWSHealthPath) {
		return nil
	}
	return a.pathFits(h.path)
}

// upsideDown reports whether a range of status codes ends before it begins. All
// codes have three digits.
func upsideDown(codes string) bool {
	return slices.ContainsFunc(strings.Split(codes, ","), func(item string) bool {
		from, to, ranged := strings.Cut(item, "-")
		return ranged && from > to
	})
}

// pathFits refuses a path of health checks that is none.
func (a *ask) pathFits(path string) error {
	if path == "" || strings.HasPrefix(path, "/") {
		return nil
	}
	return refuse(intent.ReasonInvalidAnnotation, "%s, but must begin with /; write it like \"/healthz\", or remove the annotation", intent.AWSSays(a.item.Service, intent.KeyAWSHealthPath))
}

// tellHealth tells of annotations that do not count for any port.
func (t *turn) tellHealth(a *ask) {
	ignored := func(key, why string) {
		if a.text(key) != "" {
			a.warn(intent.ReasonIgnoredAnnotation, fmt.Sprintf("%s, but has no effect %s", intent.AWSSays(a.item.Service, key), why))
		}
	}
	counts := func(of func(health) bool) bool {
		return slices.ContainsFunc(a.mappings, func(m *mapping) bool { return of(m.health) })
	}
	if !a.external && t.settings.Probes == SharedProbe && a.item.Intent.Traffic != intent.Local {
		for _, key := range []string{intent.KeyAWSHealthProtocol, intent.KeyAWSHealthPort, intent.KeyAWSHealthPath} {
			ignored(key, "while the cloud-config lets kube-proxy be asked, with clusterServiceLoadBalancerHealthProbeMode Shared; remove it")
		}
		return
	}
	if path := a.text(intent.KeyAWSHealthPath); !counts(func(h health) bool { return h.path == path }) {
		ignored(intent.KeyAWSHealthPath, onlyHTTP)
	}
	if !counts(func(h health) bool { return h.codes != "" }) {
		ignored(intent.KeyAWSHealthCodes, onlyHTTP)
	}
}

// onlyHTTP is why a path, and codes of status, do not count.
const onlyHTTP = "on health checks that are not by HTTP; set annotation " + intent.KeyAWSHealthProtocol + " to HTTP, or remove it"

// AWS's timeouts of health checks, in seconds: CreateTargetGroup.
const (
	timeoutHTTP  = 6
	timeoutOther = 10
)

// fitTimeout sees that the timeout of a health check is not above the interval,
// which AWS refuses. The peer never sends one, so it is left out where it cannot
// be; the target group that is there, if any, has another.
func (t *turn) fitTimeout(a *ask, m *mapping, g *TargetGroup) {
	says := func(key string) string { return intent.AWSSays(a.item.Service, key) }
	h := &m.health
	if h.timeout > h.interval && !a.external {
		a.warn(intent.ReasonInvalidAnnotation, fmt.Sprintf("%s, but must not be above the interval of %d seconds; it is left out: lower it, or raise annotation %s", says(intent.KeyAWSHealthTimeout), h.interval, intent.KeyAWSHealthInterval))
		h.timeout = 0
	}
	timeout := h.timeout
	if timeout == 0 && g != nil {
		timeout = awssdk.ToInt32(g.HealthCheckTimeoutSeconds)
	}
	if timeout == 0 {
		timeout = timeoutOther
		if h.protocol == elbv2types.ProtocolEnumHttp {
			timeout = timeoutHTTP
		}
	}
	switch {
	case timeout <= h.interval:
	case a.text(intent.KeyAWSHealthTimeout) == "" && a.number(intent.KeyAWSHealthTimeout, 0) == 0:
		t.refuse(a, refuse(intent.ReasonInvalidAnnotation, "%s, but must not be below the timeout, which is %d seconds; raise it, or set annotation %[3]s to %[4]d or less", says(intent.KeyAWSHealthInterval), timeout, intent.KeyAWSHealthTimeout, h.interval))
	default:
		t.refuse(a, refuse(intent.ReasonInvalidAnnotation, "%s, but must not be above the interval of %d seconds; lower it, or raise annotation %s", says(intent.KeyAWSHealthTimeout), h.interval, intent.KeyAWSHealthInterval))
	}
}

// String is the health check in a plan.
func (h health) String() string {
	return fmt.Sprintf("%s %s%s every %d s, %d up, %d down", h.protocol, h.port, h.path, h.interval, h.healthy, h.unhealthy)
}

// observedHealth is how a target group probes.
func observedHealth(g *TargetGroup) health {
	codes := ""
	if g.Matcher != nil {
		codes = awssdk.ToString(g.Matcher.HttpCode)
	}
	return health{
		codes: codes, protocol: g.HealthCheckProtocol, port: awssdk.ToString(g.HealthCheckPort), path: awssdk.ToString(g.HealthCheckPath),
		interval: awssdk.ToInt32(g.HealthCheckIntervalSeconds), timeout: awssdk.ToInt32(g.HealthCheckTimeoutSeconds),
		healthy: awssdk.ToInt32(g.HealthyThresholdCount), unhealthy: awssdk.ToInt32(g.UnhealthyThresholdCount),
	}
}

// isAt reports whether a target group that probes like have is as the peer
// leaves it: it never brings a change of unhealthy and timeout to AWS.
func (h health) isAt(have health) bool {
	samePath := h.protocol == elbv2types.ProtocolEnumTcp || h.path == have.path
	return h.protocol == have.protocol && h.port == have.port && samePath && h.interval == have.interval && h.healthy == have.healthy
}

// isExactly reports whether a target group that probes like have needs no
// change.
func (h health) isExactly(have health) bool {
	return h.isAt(have) && h.unhealthy == have.unhealthy && (h.timeout == 0 || h.timeout == have.timeout) && (h.codes == "" || h.codes == have.codes)
}

// putHealth sets the health check of a target group that is there.
func (t *turn) putHealth(a *ask, m *mapping, g *TargetGroup) {
	have := observedHealth(g)
	if m.health.isExactly(have) || (!a.strict() && m.health.isAt(have)) {
		return
	}
	if !a.strict() && m.before.isAt(have) {
		a.warn(ReasonAdoptedAsIs, fmt.Sprintf("port %d is UDP and its nodes are probed by %s, which nothing answers; it stays so until the Service is edited; set annotation %s for that", m.port, have, intent.KeyRepair))
		m.health = have
		return
	}
	in := &elbv2.ModifyTargetGroupInput{
		TargetGroupArn: g.TargetGroupArn, HealthCheckProtocol: m.health.protocol, HealthCheckPort: awssdk.String(m.health.port),
		HealthCheckIntervalSeconds: awssdk.Int32(m.health.interval), HealthyThresholdCount: awssdk.Int32(m.health.healthy),
		UnhealthyThresholdCount: awssdk.Int32(m.health.unhealthy),
	}
	if m.health.codes != "" {
		in.Matcher = &elbv2types.Matcher{HttpCode: awssdk.String(m.health.codes)}
	}
	if m.health.path != "" {
		in.HealthCheckPath = awssdk.String(m.health.path)
	}
	if m.health.timeout != 0 {
		in.HealthCheckTimeoutSeconds = awssdk.Int32(m.health.timeout)
	}
	t.add(a, plan.Step{
		Action: plan.Update, Target: plan.ID{Kind: kindHealthCheck, Name: awssdk.ToString(g.TargetGroupName)},
		Why: []plan.Diff{{Field: "health check", Have: have.String(), Want: m.health.String()}},
	}, in)
}
