// SPDX-License-Identifier: Apache-2.0

package intent

import "strings"

// Limits of the APIs of AWS.
const (
	awsNameMax           = 32 // Elastic Load Balancing, LoadBalancerName
	awsPairsMax          = 50
	awsTagKeyMax         = 128
	awsTagValueMax       = 256
	awsARNMax            = 2048 // of certificates, IAM
	awsBucketMax         = 255  // names of the oldest buckets; new ones have 63
	awsObjectMax         = 1024 // keys of S3
	awsPathMax           = 1024 // HealthCheckPath
	awsCodesMax          = 255
	awsIDMax             = 255 // Name tags too: values have up to 256
	awsListMax           = 100
	awsSubnetsMax        = 50
	awsGroupsMax         = 50
	awsPortNameMax       = 63 // the API of Services
	awsDrainingMax       = 3600
	awsIdleMax           = 4000
	awsThresholdMin      = 2 // HealthyThreshold, of both load balancers
	awsThresholdMax      = 10
	awsHealthTimeoutMin  = 2
	awsHealthTimeoutMax  = 120 // of target groups; classic ones have 60
	awsHealthIntervalMin = 5
	awsHealthIntervalMax = 300
	awsActionMax         = 4096
)

const awsNote = "The columns name three forms of load balancers: `aws-classic`, a classic load balancer, which a Service gets without `type`;\n" +
	"`aws-nlb`, of type `nlb`; and `aws-external`, of type `external` or `nlb-ip` or of class `" + AWSControllerClass + "`, which are the AWS Load\n" +
	"Balancer Controller's, and ours only when the cloud config claims them. Keys under `" + awsOtherPrefix + "` count for `aws-external` alone.\n"

// awsOn is an annotation with the other key that the Load Balancer Controller
// reads, for the forms.
func awsOn(key string, kind Kind, doc string, forms ...string) Annotation {
	a := Annotation{Key: key, Kind: kind, Providers: forms, Doc: doc}
	if suffix, ok := strings.CutPrefix(key, awsPrefix); ok && !a.isPattern() {
		a.Aliases = []Alias{{Key: awsOtherPrefix + suffix}}
	}
	return a
}

// awsAll is honoured by all forms.
func awsAll(key string, kind Kind, doc string) Annotation {
	return awsOn(key, kind, doc, awsForms()...)
}

// awsOwn is one of cloud-provider-aws alone.
func awsOwn(key string, kind Kind, doc string, forms ...string) Annotation {
	a := awsOn(key, kind, doc, forms...)
	a.Aliases = nil
	return a
}

// awsTheirs is one of the Load Balancer Controller alone.
func awsTheirs(key string, kind Kind, doc string) Annotation {
	a := awsOn(key, kind, doc, awsExternal)
	const why = "only Services of type external have it; remove it"
	a.Elsewhere = map[string]string{awsClassic: why, awsNetwork: why}
	return a
}

func awsTexts(items, example string, limit int) List {
	return List{Item: Text{Max: awsIDMax, Example: example}, Items: items, Sep: Comma, Max: limit}
}

func awsPairs() Pairs { return Pairs{Max: awsPairsMax, Bare: true} }

// awsTheirPairs are as the Load Balancer Controller has them: a key never stands
// alone.
func awsTheirPairs() Pairs { return Pairs{Max: awsPairsMax} }

func awsAnnotations() Table {
	t := Table{Title: "AWS", Note: awsNote}
	for _, part := range [][]Annotation{
		awsKinds(), awsNetworks(), awsLogs(), awsGroups(), awsTLS(), awsTargets(), awsHealth(), awsSpecial(),
	} {
		t.Annotations = append(t.Annotations, part...)
	}
	return t
}

func awsKinds() []Annotation {
	internal := tolerated(awsAll(KeyAWSInternal, ExactBool{},
		"The load balancer has private addresses alone; an edit makes another load balancer in place of the old one."), "true")
	internal.KindFor = map[string]Kind{awsExternal: LooseBool{}}
	return []Annotation{
		tolerated(awsAll(KeyAWSType, Enum{Values: []string{AWSTypeNetwork, AWSTypeExternal, awsTypeIP}, Exact: true},
			"The kind of load balancer; without it, or with another value, a classic one."), ""),
		internal,
		awsTheirs(KeyAWSScheme, Enum{Values: []string{awsInternalScheme, "internet-facing"}, Exact: true},
			"Whether clients come from the internet; without it, and without the key that ends in internal, as the cloud config says."),
		awsTheirs(KeyAWSTargetType, Enum{Values: []string{"instance", "ip"}, Exact: true},
			"Whether traffic goes to the node ports of instances, or straight to the addresses of pods."),
		awsTheirs(KeyAWSName, Text{Max: awsNameMax, Example: "web"},
			"The name of the load balancer: letters, digits and dashes; Services with one name share one."),
		awsTheirs(KeyAWSIPAddressType, Enum{Values: []string{"ipv4", "dualstack"}, Exact: true},
			"The families of the addresses that clients connect to."),
		inParts(awsAll(KeyAWSTags, Pairs{Bare: true}, "Tags for what is made for the Service; AWS allows 50, with those that tell whose it is; aws-external takes no key alone.")),
	}
}

func awsNetworks() []Annotation {
	subnets := inParts(awsAll(KeyAWSSubnets, awsTexts("subnets", "subnet-0a1b2c3d", awsSubnetsMax),
		"The subnets, by id or by Name tag, instead of those that are found by their tags."))
	subnets.Empty = EmptyValue
	addresses := func(f Family) List {
		return List{Item: Address{Family: f}, Items: "IP addresses", Sep: Comma, Max: awsSubnetsMax}
	}
	return []Annotation{
		subnets,
		awsOn(KeyAWSElasticIPs, awsTexts("ids", "eipalloc-0a1b2c3d", awsSubnetsMax),
			"The allocation ids of elastic IPs, one for each subnet.", awsNetwork, awsExternal),
		awsOn(KeyAWSPrivateIPv4s, addresses(V4),
			"The private IPv4 addresses of an internal load balancer, one for each subnet.", awsNetwork, awsExternal),
		awsTheirs(KeyAWSIPv6s, addresses(V6), "The IPv6 addresses of a dual-stack load balancer, one for each subnet."),
	}
}

func awsLogs() []Annotation {
	return []Annotation{
		defaultTo("false", awsAll(KeyAWSCrossZone, LooseBool{}, "Each zone's address serves from the nodes of all zones.")),
		defaultTo("false", awsAll(KeyAWSAccessLog, LooseBool{}, "Access logs are written to the bucket.")),
		awsOwn(KeyAWSAccessLogInterval, Enum{Values: []string{"5", "60"}}, "The minutes between two access logs.", awsClassic),
		awsAll(KeyAWSAccessLogBucket, Text{Max: awsBucketMax, Example: "logs"}, "The bucket of S3 for access logs."),
		awsAll(KeyAWSAccessLogPrefix, Text{Max: awsObjectMax, Example: "web"}, "What the names of access logs begin with."),
		defaultTo("false", awsOwn(KeyAWSDraining, LooseBool{}, "A node that leaves finishes its connections.", awsClassic)),
		awsOwn(KeyAWSDrainingTimeout, Int{Min: 1, Max: awsDrainingMax, Unit: "seconds"},
			"How long a node that leaves may take to finish its connections.", awsClassic),
		defaultTo("60", awsOwn(KeyAWSIdleTimeout, Int{Min: 1, Max: awsIdleMax, Unit: "seconds"},
			"How long an idle connection is kept.", awsClassic)),
		inParts(awsTheirs(KeyAWSAttributes, awsTheirPairs(), "Attributes of the load balancer, in the words of AWS.")),
	}
}

func awsGroups() []Annotation {
	extra := inParts(awsOwn(KeyAWSExtraSecurityGroups, awsTexts("security groups", "sg-0a1b2c3d", awsGroupsMax),
		"Security groups that a classic load balancer has beside its own; their rules are never changed.", awsClassic, awsNetwork))
	return []Annotation{
		inParts(awsAll(KeyAWSSecurityGroups, awsTexts("security groups", "sg-0a1b2c3d", awsGroupsMax),
			"The security groups instead of one that is made; their rules are never changed. Names count for aws-external, for aws-nlb it needs NLBSecurityGroupMode Managed.")),
		extra,
		awsTheirs(KeyAWSManageBackendRules, LooseBool{}, "With given security groups, the nodes' rules are still managed."),
		awsTheirs(KeyAWSNoSecurityGroup, LooseBool{}, "A new load balancer has no security group."),
		inParts(awsTheirs(KeyAWSPrefixLists, awsTexts("prefix lists", "pl-0a1b2c3d", awsListMax), "Prefix lists of clients that may connect.")),
		awsTheirs(KeyAWSPrivateLinkRules, Enum{Values: []string{"on", "off"}, Exact: true},
			"Whether the security groups judge clients that come by PrivateLink."),
		tolerated(awsTheirs(KeyAWSPathMTURule, Enum{Values: []string{"on"}, Exact: true},
			"Clients may send the ICMP messages of path MTU discovery."), ""),
	}
}

func awsTLS() []Annotation {
	return []Annotation{
		inParts(awsAll(KeyAWSCertificates, List{
			Item: Text{Max: awsARNMax, Example: "arn:aws:acm:eu-west-1:111122223333:certificate/web"}, Items: "ARNs", Sep: Comma, Max: awsListMax,
		}, "The certificates of ports with TLS; the first is the default. A classic load balancer has one.")),
		inParts(awsAll(KeyAWSTLSPorts, List{
			Item: Text{Max: awsPortNameMax, Example: "443"}, Items: "ports by number or name", Sep: Comma, Max: awsListMax,
		}, "The ports with TLS when there is a certificate; without it, or *, all.")),
		awsAll(KeyAWSTLSPolicy, Text{Max: awsIDMax, Example: "ELBSecurityPolicy-TLS13-1-2-2021-06"}, "The policy of versions and ciphers of TLS."),
		awsTheirs(KeyAWSALPNPolicy, Enum{
			Values: []string{"HTTP1Only", "HTTP2Only", "HTTP2Optional", "HTTP2Preferred", "None"}, Exact: true,
		}, "The protocols that TLS negotiates with ALPN."),
		tolerated(awsAll(KeyAWSBackendProtocol, Enum{Values: []string{"http", "https", awsBackendSSL, "tcp"}, Exact: true},
			"What the nodes speak; network load balancers know ssl, and tcp for any other."), ""),
	}
}

func awsTargets() []Annotation {
	attributes := inParts(awsAll(KeyAWSTargetGroupAttributes, awsPairs(),
		"Attributes of the target groups; aws-nlb takes "+awsTargetGroupAttributesText+"."))
	return []Annotation{
		awsOn(KeyAWSProxyProtocol, Enum{Values: []string{"*"}, Exact: true},
			"The nodes get the PROXY protocol on all ports; the value is always *.", awsClassic, awsExternal),
		awsTheirs(KeyAWSProxyProtocolPorts, List{
			Item: Int{Min: 1, Max: maxPort}, Items: "ports", Sep: Comma, Max: awsListMax,
		}, "The ports whose targets get the PROXY protocol."),
		attributes,
		inParts(awsTheirs(keyAWSPortsTargetGroup, awsTheirPairs(), "Attributes of the target group of the port with this number.")),
		inParts(awsTheirs(KeyAWSListenerAttributes, awsTheirPairs(), "Attributes of the listener, such as TCP-80, in the words of AWS.")),
		inParts(awsTheirs(keyAWSBothAttributes, awsTheirPairs(), "Attributes of the listener of TCP and UDP of the port with this number.")),
		inParts(awsAll(KeyAWSNodeLabels, awsPairs(), "The labels that a node must have to serve, all of them; aws-external takes no key alone.")),
		awsTheirs(KeyAWSTCPUDPListener, LooseBool{}, "A port of both TCP and UDP has one listener."),
		awsTheirs(KeyAWSMultiCluster, LooseBool{}, "Other clusters register targets in the same target groups; theirs are left alone."),
	}
}

func awsHealth() []Annotation {
	timeout := awsAll(KeyAWSHealthTimeout, Int{Min: awsHealthTimeoutMin, Max: awsHealthTimeoutMax, Unit: "seconds"},
		"How long a health check waits for an answer; classic load balancers have 5 unless it is set.")
	timeout.TolerantFor = []string{awsNetwork}
	timeout.KindFor = map[string]Kind{awsClassic: Int{Min: awsHealthTimeoutMin, Max: awsClassicHealthTimeoutMax, Unit: "seconds"}}
	protocol := awsAll(KeyAWSHealthProtocol, Enum{Values: []string{"TCP", "HTTP", "HTTPS", awsHealthSSL}}, "The protocol of health checks.")
	network := Enum{Values: []string{"TCP", "HTTP", "HTTPS"}}
	protocol.KindFor = map[string]Kind{awsNetwork: network, awsExternal: network}
	return []Annotation{
		protocol,
		awsAll(KeyAWSHealthPort, Text{Max: awsPortNameMax, Example: awsTrafficPort},
			"The port of the nodes that health checks ask, or traffic-port; aws-external takes the name of a port too."),
		awsAll(KeyAWSHealthPath, Text{Max: awsPathMax, Example: "/healthz"}, "The path of health checks by HTTP and HTTPS."),
		awsAll(KeyAWSHealthInterval, Int{Min: awsHealthIntervalMin, Max: awsHealthIntervalMax, Unit: "seconds"},
			"The time between two health checks: 10 for classic load balancers and with externalTrafficPolicy Local, 30 for aws-nlb."),
		timeout,
		awsAll(KeyAWSHealthyThreshold, Int{Min: awsThresholdMin, Max: awsThresholdMax},
			"How many checks in a row make a node healthy: 2 for classic load balancers and with externalTrafficPolicy Local, else 3."),
		awsAll(KeyAWSUnhealthyThreshold, Int{Min: awsThresholdMin, Max: awsThresholdMax},
			"How many checks in a row make a node unhealthy: 6 for classic load balancers, 2 with externalTrafficPolicy Local, else 3."),
		awsTheirs(KeyAWSHealthCodes, Text{Max: awsCodesMax, Example: "200-399"}, "The status codes of a healthy answer."),
	}
}

// awsSpecial are those that are not supported yet.
func awsSpecial() []Annotation {
	notYet := func(a Annotation) Annotation {
		a.Elsewhere[awsExternal] = "it is not supported yet; remove it"
		return a
	}
	refused := func(a Annotation) Annotation {
		a.RefusedBy = []string{awsExternal}
		return a
	}
	return []Annotation{
		notYet(awsTheirs(KeyAWSCapacity, Text{Max: awsIDMax, Example: "CapacityUnits=1000"}, "The capacity that is reserved.")),
		notYet(awsTheirs(KeyAWSSourceNATPrefix, Text{Max: awsIDMax, Example: "on"}, "Source addresses for UDP on dual stack.")),
		notYet(awsTheirs(KeyAWSSourceNATPrefixes, Text{Max: awsObjectMax, Example: "auto_assigned"}, "The prefixes of those source addresses.")),
		refused(awsTheirs(KeyAWSQUICPorts, Text{Max: awsObjectMax, Example: "443"}, "The ports of QUIC; not supported yet, so the Service is refused.")),
		refused(awsTheirs(keyAWSActions, Text{Max: awsActionMax, Example: "{}"}, "Forwarding with weights, for a listener such as TCP-80; not supported yet, so the Service is refused.")),
	}
}
