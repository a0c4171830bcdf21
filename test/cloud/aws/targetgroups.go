// SPDX-License-Identifier: Apache-2.0

package awssim

import (
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// targetGroup is a target group of network load balancers.
type targetGroup struct {
	HealthCheckEnabled         bool
	HealthCheckIntervalSeconds int
	HealthCheckPath            string `json:",omitempty"`
	HealthCheckPort            string
	HealthCheckProtocol        string
	HealthCheckTimeoutSeconds  int
	HealthyThresholdCount      int
	IPAddressType              string `json:"IpAddressType"`
	LoadBalancerArns           []string
	Matcher                    *matcher `json:",omitempty"`
	Port                       int
	Protocol                   string
	TargetGroupArn             string
	TargetGroupName            string
	TargetType                 string
	UnhealthyThresholdCount    int
	VPCID                      string      `json:"VpcId"`
	Attributes                 []attribute `json:"-"`
	Tags                       []tag       `json:"-"`
	Targets                    []target    `json:"-"`
	BusyUntil                  time.Time   `json:"-"` // in use though no listener is left
}

type matcher struct {
	HTTPCode string `json:"HttpCode,omitempty"`
	GrpcCode string `json:",omitempty"`
}

func targetActions() map[string]action {
	return map[string]action{
		"elbv2.CreateTargetGroup":             bind((*Cloud).createTargetGroup),
		"elbv2.ModifyTargetGroup":             bind((*Cloud).modifyTargetGroup),
		"elbv2.DeleteTargetGroup":             bind((*Cloud).deleteTargetGroup),
		"elbv2.DescribeTargetGroups":          bind((*Cloud).describeTargetGroups),
		"elbv2.DescribeTargetGroupAttributes": bind((*Cloud).describeTargetGroupAttributes),
		"elbv2.ModifyTargetGroupAttributes":   bind((*Cloud).modifyTargetGroupAttributes),
		"elbv2.RegisterTargets":               bind((*Cloud).registerTargets),
		"elbv2.DeregisterTargets":             bind((*Cloud).deregisterTargets),
		"elbv2.DescribeTargetHealth":          bind((*Cloud).describeTargetHealth),
	}
}

// healthSettings are how a request tells of a health check.
type healthSettings struct {
	HealthCheckEnabled         *bool
	HealthCheckIntervalSeconds *int
	HealthCheckPath            string
	HealthCheckPort            string
	HealthCheckProtocol        string
	HealthCheckTimeoutSeconds  *int
	HealthyThresholdCount      *int
	UnhealthyThresholdCount    *int
	Matcher                    *matcher
}

type createTargetGroupIn struct {
	Name          string
	IPAddressType string `json:"IpAddressType"`
	Port          *int
	Protocol      string
	Tags          []tag
	TargetType    string
	VPCID         string `json:"VpcId"`
	healthSettings
}

type targetGroupsOut struct {
	TargetGroups []targetGroup
	NextMarker   string `json:",omitempty"`
}

func (c *Cloud) createTargetGroup(in createTargetGroupIn) (any, *refusal) {
	if refused := c.judgeNewTargetGroup(&in); refused != nil {
		return nil, refused
	}
	g := &targetGroup{
		HealthCheckEnabled: true, HealthCheckIntervalSeconds: 30, HealthCheckPort: "traffic-port", HealthCheckProtocol: "TCP",
		HealthyThresholdCount: 5, UnhealthyThresholdCount: 2, IPAddressType: in.IPAddressType, Port: *in.Port,
		Protocol: in.Protocol, TargetGroupName: in.Name, TargetType: in.TargetType, VPCID: in.VPCID,
		Attributes: newGroupAttributes(in), Tags: withTags(nil, in.Tags),
	}
	in.apply(g)
	if refused := judgeHealthCheck(g); refused != nil {
		return nil, refused
	}
	for _, old := range c.targets.all() {
		if old.TargetGroupName != in.Name {
			continue
		}
		if !sameTargetGroup(old, g) {
			return nil, bad("DuplicateTargetGroupName",
				"A target group with the same name '%s' exists, but with different settings", in.Name)
		}
		return targetGroupsOut{TargetGroups: []targetGroup{*old}}, nil
	}
	if len(c.targets.all()) >= c.limits.TargetGroups {
		return nil, bad("TooManyTargetGroups", "The quota of %d target groups has been reached", c.limits.TargetGroups)
	}
	g.TargetGroupArn = c.arn("elasticloadbalancing", "targetgroup/"+in.Name+"/"+c.digits("targetgroup", 16))
	c.targets.put(g.TargetGroupArn, g, c.now())
	return targetGroupsOut{TargetGroups: []targetGroup{*g}}, nil
}

func (c *Cloud) judgeNewTargetGroup(in *createTargetGroupIn) *refusal {
	if refused := judgeName("target group", in.Name); refused != nil {
		return refused
	}
	if refused := oneOf("target type", &in.TargetType, "instance", "ip"); refused != nil {
		return refused
	}
	if refused := oneOf("IP address type", &in.IPAddressType, ipv4, ipv6); refused != nil {
		return refused
	}
	switch {
	case !slices.Contains([]string{"TCP", "UDP", "TCP_UDP", "TLS"}, in.Protocol):
		return invalid("Target group protocol '%s' must be one of 'TCP, UDP, TCP_UDP, TLS'", in.Protocol)
	case in.Port == nil || *in.Port < 1 || *in.Port > 65535:
		return invalid("A target group port from 1 to 65535 must be specified")
	case in.VPCID == "" || c.vpcs.get(in.VPCID) == nil:
		return invalid("The VPC ID '%s' is not found", in.VPCID)
	}
	return c.judgeBalancerTags(nil, in.Tags)
}

// newGroupAttributes are the attributes of a new target group.
func newGroupAttributes(in createTargetGroupIn) []attribute {
	set := []attribute{{Key: "preserve_client_ip.enabled", Value: "true"}}
	if in.TargetType == "ip" && (in.Protocol == "TCP" || in.Protocol == "TLS") {
		set[0].Value = "false"
	}
	if strings.HasSuffix(in.Protocol, "UDP") {
		set = append(set, attribute{Key: "deregistration_delay.connection_termination.enabled", Value: "true"})
	}
	return withAttributes(usualAttributes(groupAttributeRules()), set)
}

// apply writes the settings that a request has into a target group.
func (in healthSettings) apply(g *targetGroup) {
	if in.HealthCheckEnabled != nil {
		g.HealthCheckEnabled = *in.HealthCheckEnabled
	}
	if in.HealthCheckProtocol != "" && in.HealthCheckProtocol != g.HealthCheckProtocol {
		g.HealthCheckProtocol = in.HealthCheckProtocol
		g.HealthCheckTimeoutSeconds = 0
	}
	if in.HealthCheckPort != "" {
		g.HealthCheckPort = in.HealthCheckPort
	}
	for field, value := range map[*int]*int{
		&g.HealthCheckIntervalSeconds: in.HealthCheckIntervalSeconds,
		&g.HealthCheckTimeoutSeconds:  in.HealthCheckTimeoutSeconds,
		&g.HealthyThresholdCount:      in.HealthyThresholdCount,
		&g.UnhealthyThresholdCount:    in.UnhealthyThresholdCount,
	} {
		if value != nil {
			*field = *value
		}
	}
	if in.HealthCheckPath != "" {
		g.HealthCheckPath = in.HealthCheckPath
	}
	if in.Matcher != nil {
		g.Matcher = in.Matcher
	}
	if strings.HasPrefix(g.HealthCheckProtocol, "HTTP") {
		if g.HealthCheckPath == "" {
			g.HealthCheckPath = "/"
		}
		if g.Matcher == nil {
			g.Matcher = &matcher{HTTPCode: "200-399"}
		}
	} else if in.HealthCheckProtocol != "" && in.HealthCheckPath == "" && in.Matcher == nil {
		g.HealthCheckPath, g.Matcher = "", nil
	}
	if g.HealthCheckTimeoutSeconds == 0 {
		g.HealthCheckTimeoutSeconds = map[string]int{"HTTP": 6}[g.HealthCheckProtocol]
		if g.HealthCheckTimeoutSeconds == 0 {
			g.HealthCheckTimeoutSeconds = 10
		}
	}
}

func judgeHealthCheck(g *targetGroup) *refusal {
	if !slices.Contains([]string{"TCP", "HTTP", "HTTPS"}, g.HealthCheckProtocol) {
		return invalid("Health check protocol '%s' must be one of 'TCP, HTTP, HTTPS'", g.HealthCheckProtocol)
	}
	if port, err := strconv.Atoi(g.HealthCheckPort); g.HealthCheckPort != "traffic-port" && (err != nil || port < 1 || port > 65535) {
		return invalid("Health check port '%s' must be 'traffic-port' or in the range '1-65535'", g.HealthCheckPort)
	}
	for _, r := range []struct {
		noun               string
		value, least, most int
	}{
		{"interval", g.HealthCheckIntervalSeconds, 5, 300},
		{"timeout", g.HealthCheckTimeoutSeconds, 2, 120},
		{"healthy threshold count", g.HealthyThresholdCount, 2, 10},
		{"unhealthy threshold count", g.UnhealthyThresholdCount, 2, 10},
	} {
		if r.value < r.least || r.value > r.most {
			return invalid("Health check %s '%d' must be in the range '%d-%d'", r.noun, r.value, r.least, r.most)
		}
	}
	web := strings.HasPrefix(g.HealthCheckProtocol, "HTTP")
	switch {
	case g.HealthCheckTimeoutSeconds > g.HealthCheckIntervalSeconds:
		return invalid("Health check timeout '%d' must be smaller than or equal to the interval '%d'",
			g.HealthCheckTimeoutSeconds, g.HealthCheckIntervalSeconds)
	case !web && (g.HealthCheckPath != "" || g.Matcher != nil):
		return unfit("A health check path or matcher cannot be specified with the protocol '%s'", g.HealthCheckProtocol)
	case web && (!strings.HasPrefix(g.HealthCheckPath, "/") || len(g.HealthCheckPath) > 1024):
		return invalid("Health check path '%s' must begin with a '/' and have at most 1024 characters", g.HealthCheckPath)
	case g.TargetType != "ip" && !g.HealthCheckEnabled:
		return unfit("Health checks cannot be disabled for the target type '%s'", g.TargetType)
	default:
		return nil
	}
}

// sameTargetGroup reports whether a create asks for what is there.
func sameTargetGroup(a, b *targetGroup) bool {
	core := func(g *targetGroup) targetGroup {
		v := *g
		v.TargetGroupArn, v.LoadBalancerArns, v.Attributes, v.Tags, v.Targets = "", nil, nil, nil, nil
		return v
	}
	return reflect.DeepEqual(core(a), core(b)) && sameTags(a.Tags, b.Tags)
}

type modifyTargetGroupIn struct {
	TargetGroupArn string
	healthSettings
}

func (c *Cloud) modifyTargetGroup(in modifyTargetGroupIn) (any, *refusal) {
	g, refused := c.targetGroup(in.TargetGroupArn)
	if refused != nil {
		return nil, refused
	}
	g = clone(g)
	in.apply(g)
	if refused := judgeHealthCheck(g); refused != nil {
		return nil, refused
	}
	c.targets.put(g.TargetGroupArn, g, c.now())
	return targetGroupsOut{TargetGroups: []targetGroup{*g}}, nil
}

func (c *Cloud) targetGroup(arn string) (*targetGroup, *refusal) {
	if g := c.targets.get(arn); g != nil {
		return g, nil
	}
	return nil, noTargetGroup(arn)
}

func noTargetGroup(arn string) *refusal {
	return bad("TargetGroupNotFound", "Target groups '%s' not found", arn)
}

type targetGroupIn struct {
	TargetGroupArn string
}

// deleteTargetGroup deletes what is there and not used.
func (c *Cloud) deleteTargetGroup(in targetGroupIn) (any, *refusal) {
	g := c.targets.get(in.TargetGroupArn)
	switch {
	case g == nil && !strings.Contains(in.TargetGroupArn, ":targetgroup/"):
		return nil, invalid("'%s' is not a valid target group ARN", in.TargetGroupArn)
	case g != nil && (len(g.LoadBalancerArns) > 0 || g.BusyUntil.After(c.now())):
		return nil, bad("ResourceInUse", "Target group '%s' is currently in use by a listener or a rule", in.TargetGroupArn)
	}
	c.targets.remove(in.TargetGroupArn, c.now())
	return nil, nil
}

type describeTargetGroupsIn struct {
	LoadBalancerArn string
	Names           []string
	TargetGroupArns []string
	Marker          string
	PageSize        *int
}

func (c *Cloud) describeTargetGroups(in describeTargetGroupsIn) (any, *refusal) {
	when := c.seen(ELBV2)
	all := c.targets.past(when)
	arn := func(g *targetGroup) string { return g.TargetGroupArn }
	ways := 0
	for _, given := range []int{len(in.LoadBalancerArn), len(in.Names), len(in.TargetGroupArns)} {
		ways += min(given, 1)
	}
	var refused *refusal
	missing := bad("TargetGroupNotFound", "One or more target groups not found")
	switch {
	case ways > 1:
		return nil, invalid("Only one of load balancer ARN, target group ARNs and target group names can be specified")
	case in.LoadBalancerArn != "":
		if c.balancers.at(in.LoadBalancerArn, when) == nil {
			return nil, noBalancer()
		}
		all = slices.DeleteFunc(all, func(g *targetGroup) bool { return !slices.Contains(g.LoadBalancerArns, in.LoadBalancerArn) })
	case len(in.Names) > 0:
		all, refused = pickNamed(all, in.Names, func(g *targetGroup) string { return g.TargetGroupName }, missing)
	case len(in.TargetGroupArns) > 0:
		all, refused = pickNamed(all, in.TargetGroupArns, arn, missing)
	}
	if refused != nil {
		return nil, refused
	}
	found, next, refused := balancerPage(c, all, arn, in.PageSize, in.Marker)
	return targetGroupsOut{TargetGroups: values(found), NextMarker: next}, refused
}

func (c *Cloud) describeTargetGroupAttributes(in targetGroupIn) (any, *refusal) {
	g := c.targets.at(in.TargetGroupArn, c.seen(ELBV2))
	if g == nil {
		return nil, noTargetGroup(in.TargetGroupArn)
	}
	return attributesOut{Attributes: g.Attributes}, nil
}

type modifyTargetGroupAttributesIn struct {
	TargetGroupArn string
	Attributes     []attribute
}

func (c *Cloud) modifyTargetGroupAttributes(in modifyTargetGroupAttributesIn) (any, *refusal) {
	g, refused := c.targetGroup(in.TargetGroupArn)
	if refused != nil {
		return nil, refused
	}
	if refused := judgeAttributes("Target group", in.Attributes, groupAttributeRules()); refused != nil {
		return nil, refused
	}
	if strings.HasSuffix(g.Protocol, "UDP") && valueOf(in.Attributes, "preserve_client_ip.enabled") == "false" {
		return nil, invalid("The attribute preserve_client_ip.enabled cannot be false with the protocol '%s'", g.Protocol)
	}
	if g.Protocol == "TLS" && valueOf(in.Attributes, "stickiness.enabled") == "true" {
		return nil, invalid("Stickiness cannot be enabled with the protocol '%s'", g.Protocol)
	}
	after := withAttributes(g.Attributes, in.Attributes)
	c.targets.edit(in.TargetGroupArn, c.now(), func(g *targetGroup) { g.Attributes = after })
	return attributesOut{Attributes: after}, nil
}
