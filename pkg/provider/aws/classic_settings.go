// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"fmt"
	"strconv"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	elb "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancing/types"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/plan"
)

// What a new classic load balancer has unless told otherwise, and what the peer
// asks for: Elastic Load Balancing, LoadBalancerAttributes.
const (
	classicIdle     = 60  // seconds
	classicDraining = 300 // seconds
	classicEmit     = 60  // minutes
)

// What the peer asks of health checks.
const (
	classicHealthy   = 2
	classicUnhealthy = 6
	classicTimeout   = 5  // seconds
	classicInterval  = 10 // seconds
)

// classicHealth is how the Service's nodes are probed, as the peer does it.
func (a *ask) classicHealth(s *Settings, listeners []classicListener) elbtypes.HealthCheck {
	in := &a.item.Intent
	first := int(listeners[0].nodePort)
	protocol, port, path := classicTCP, first, ""
	asked := a.healthPort()
	switch backend := strings.ToUpper(a.written(intent.KeyAWSBackendProtocol)); {
	case in.Traffic == intent.Local:
		protocol, port, path = classicHTTP, int(in.HealthCheckNodePort), localPath
		if asked == trafficPort {
			port = first
		}
	case s.Probes == SharedProbe:
		protocol, port, path = classicHTTP, int(s.SharedProbePort), s.SharedProbePath
	case backend == classicHTTPS || backend == classicSSL:
		protocol = classicSSL
	}
	if text := a.text(intent.KeyAWSHealthProtocol); text != "" {
		protocol = strings.ToUpper(text)
	}
	if n, err := strconv.Atoi(asked); err == nil {
		port = n
	}
	if text := a.text(intent.KeyAWSHealthPath); text != "" {
		path = text
	}
	switch {
	case protocol != classicHTTP && protocol != classicHTTPS:
		path = ""
	case path == "":
		path = "/"
	}
	return elbtypes.HealthCheck{
		Target:             awssdk.String(protocol + ":" + strconv.Itoa(port) + path),
		HealthyThreshold:   awssdk.Int32(a.number(intent.KeyAWSHealthyThreshold, classicHealthy)),
		UnhealthyThreshold: awssdk.Int32(a.number(intent.KeyAWSUnhealthyThreshold, classicUnhealthy)),
		Timeout:            awssdk.Int32(a.number(intent.KeyAWSHealthTimeout, classicTimeout)),
		Interval:           awssdk.Int32(a.number(intent.KeyAWSHealthInterval, classicInterval)),
	}
}

// probesFit refuses a path that AWS does not take, where it counts.
func (a *ask) probesFit(h elbtypes.HealthCheck) error {
	if strings.HasPrefix(awssdk.ToString(h.Target), classicHTTP) { // HTTPS too
		return a.pathFits(a.text(intent.KeyAWSHealthPath))
	}
	if a.text(intent.KeyAWSHealthPath) != "" {
		a.warn(intent.ReasonIgnoredAnnotation, fmt.Sprintf("%s, but has no effect %s", intent.AWSSays(a.item.Service, intent.KeyAWSHealthPath), onlyHTTP))
	}
	return nil
}

// classicHealthText is a health check in a plan; the protocol is in upper case,
// as it is when AWS answers.
func classicHealthText(h *elbtypes.HealthCheck) string {
	if h == nil {
		return ""
	}
	protocol, rest, _ := strings.Cut(awssdk.ToString(h.Target), ":")
	return fmt.Sprintf("%s:%s every %d s, %d s to answer, %d up, %d down", strings.ToUpper(protocol), rest,
		awssdk.ToInt32(h.Interval), awssdk.ToInt32(h.Timeout), awssdk.ToInt32(h.HealthyThreshold), awssdk.ToInt32(h.UnhealthyThreshold))
}

func (t *turn) putClassicHealth(a *ask, b *classicBalancer) {
	want := a.classicHealth(t.settings, b.listeners)
	have := classicHealthText(b.now.HealthCheck)
	if have == classicHealthText(&want) {
		return
	}
	t.add(a, plan.Step{
		Action: plan.Update, Target: plan.ID{Kind: kindHealthCheck, Name: b.name}, Needs: b.needs,
		Why: []plan.Diff{{Field: "health check", Have: have, Want: classicHealthText(&want)}},
	}, &elb.ConfigureHealthCheckInput{LoadBalancerName: awssdk.String(b.name), HealthCheck: &want})
}

// classicDefaults are the attributes of a new load balancer.
func classicDefaults() *elbtypes.LoadBalancerAttributes {
	return &elbtypes.LoadBalancerAttributes{
		AccessLog:              &elbtypes.AccessLog{},
		ConnectionDraining:     &elbtypes.ConnectionDraining{Timeout: awssdk.Int32(classicDraining)},
		ConnectionSettings:     &elbtypes.ConnectionSettings{IdleTimeout: awssdk.Int32(classicIdle)},
		CrossZoneLoadBalancing: &elbtypes.CrossZoneLoadBalancing{},
	}
}

// putClassicAttributes sets the attributes that the peer has in its hands, each
// group of them only where it differs.
func (t *turn) putClassicAttributes(a *ask, b *classicBalancer) {
	have := b.now.Attributes
	if have == nil {
		return
	}
	want := &elbtypes.LoadBalancerAttributes{}
	var diffs []plan.Diff
	differs := func(pairs ...plan.Diff) bool {
		some := false
		for _, d := range pairs {
			if d.Have != d.Want {
				diffs, some = append(diffs, d), true
			}
		}
		return some
	}
	if log := a.classicLog(); differs(logDiffs(have.AccessLog, log)...) {
		want.AccessLog = log
	}
	if drain := a.classicDrain(); differs(a.drainDiffs(have.ConnectionDraining, drain)...) {
		want.ConnectionDraining = drain
	}
	if idle := a.number(intent.KeyAWSIdleTimeout, classicIdle); differs(plan.Diff{Field: "idle timeout", Have: seconds(idleOf(have)), Want: seconds(&idle)}) {
		want.ConnectionSettings = &elbtypes.ConnectionSettings{IdleTimeout: awssdk.Int32(idle)}
	}
	cross := a.on(intent.KeyAWSCrossZone)
	crossNow := have.CrossZoneLoadBalancing != nil && have.CrossZoneLoadBalancing.Enabled
	if differs(plan.Diff{Field: "cross-zone", Have: strconv.FormatBool(crossNow), Want: strconv.FormatBool(cross)}) {
		want.CrossZoneLoadBalancing = &elbtypes.CrossZoneLoadBalancing{Enabled: cross}
	}
	if len(diffs) == 0 {
		return
	}
	t.add(a, plan.Step{Action: plan.Update, Target: plan.ID{Kind: kindAttributes, Name: b.name}, Needs: b.needs, Why: diffs},
		&elb.ModifyLoadBalancerAttributesInput{LoadBalancerName: awssdk.String(b.name), LoadBalancerAttributes: want})
}

// asksFor reports whether the annotation has a value that counts.
func (a *ask) asksFor(key string) bool {
	_, ok := a.item.Intent.Options.Int(key)
	return ok
}

func seconds(n *int32) string { return strconv.Itoa(int(awssdk.ToInt32(n))) + " s" }

func idleOf(have *elbtypes.LoadBalancerAttributes) *int32 {
	if have.ConnectionSettings == nil {
		return nil
	}
	return have.ConnectionSettings.IdleTimeout
}

// classicLog are the access logs that the Service asks for. The interval that
// AWS chooses counts when strict.
func (a *ask) classicLog() *elbtypes.AccessLog {
	out := &elbtypes.AccessLog{Enabled: a.on(intent.KeyAWSAccessLog)}
	if !out.Enabled {
		return out
	}
	if text := a.text(intent.KeyAWSAccessLogBucket); text != "" {
		out.S3BucketName = awssdk.String(text)
	}
	if text := a.text(intent.KeyAWSAccessLogPrefix); text != "" {
		out.S3BucketPrefix = awssdk.String(text)
	}
	if n, err := strconv.ParseInt(a.text(intent.KeyAWSAccessLogInterval), 10, 32); err == nil {
		out.EmitInterval = awssdk.Int32(int32(n))
	} else if a.strict() {
		out.EmitInterval = awssdk.Int32(classicEmit)
	}
	return out
}

// logDiffs compare access logs. What they would be like does not count while
// there are none.
func logDiffs(have, want *elbtypes.AccessLog) []plan.Diff {
	if have == nil {
		have = &elbtypes.AccessLog{}
	}
	out := []plan.Diff{{Field: "access log", Have: strconv.FormatBool(have.Enabled), Want: strconv.FormatBool(want.Enabled)}}
	if !want.Enabled {
		return out
	}
	if want.EmitInterval != nil {
		out = append(out, plan.Diff{Field: "access log interval", Have: minutes(have.EmitInterval), Want: minutes(want.EmitInterval)})
	}
	return append(out,
		plan.Diff{Field: "access log bucket", Have: awssdk.ToString(have.S3BucketName), Want: awssdk.ToString(want.S3BucketName)},
		plan.Diff{Field: "access log prefix", Have: awssdk.ToString(have.S3BucketPrefix), Want: awssdk.ToString(want.S3BucketPrefix)})
}

func minutes(n *int32) string { return strconv.Itoa(int(awssdk.ToInt32(n))) + " min" }

// classicDrain is the draining that the Service asks for.
func (a *ask) classicDrain() *elbtypes.ConnectionDraining {
	out := &elbtypes.ConnectionDraining{Enabled: a.on(intent.KeyAWSDraining)}
	if out.Enabled {
		out.Timeout = awssdk.Int32(a.number(intent.KeyAWSDrainingTimeout, classicDraining))
	}
	return out
}

// drainDiffs compare draining; its time counts while there is one, when it is
// asked for or strict.
func (a *ask) drainDiffs(have, want *elbtypes.ConnectionDraining) []plan.Diff {
	if have == nil {
		have = &elbtypes.ConnectionDraining{}
	}
	out := []plan.Diff{{Field: "draining", Have: strconv.FormatBool(have.Enabled), Want: strconv.FormatBool(want.Enabled)}}
	if want.Enabled && (a.strict() || a.asksFor(intent.KeyAWSDrainingTimeout)) {
		out = append(out, plan.Diff{Field: "draining timeout", Have: seconds(have.Timeout), Want: seconds(want.Timeout)})
	}
	return out
}
