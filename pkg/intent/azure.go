// SPDX-License-Identifier: Apache-2.0

package intent

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	v1 "k8s.io/api/core/v1"
)

// Azure is the provider of Azure, as in --cloud-provider.
const Azure = "azure"

// azurePrefix is that of cloud-provider-azure's annotations, which other
// clouds use as well.
const azurePrefix = "service.beta.kubernetes.io/"

// The annotations of Azure, each by its first key.
const (
	KeyAzureInternal         = azurePrefix + "azure-load-balancer-internal"
	KeyAzureInternalSubnet   = azurePrefix + "azure-load-balancer-internal-subnet"
	KeyAzureMode             = azurePrefix + "azure-load-balancer-mode"
	KeyAzureResourceGroup    = azurePrefix + "azure-load-balancer-resource-group"
	KeyAzureIPv4             = azurePrefix + "azure-load-balancer-ipv4"
	KeyAzureIPv6             = azurePrefix + "azure-load-balancer-ipv6"
	KeyAzurePublicIPName     = azurePrefix + "azure-pip-name"
	KeyAzurePublicIPNameV6   = azurePrefix + "azure-pip-name-ipv6"
	KeyAzurePublicIPPrefix   = azurePrefix + "azure-pip-prefix-id"
	KeyAzurePublicIPPrefixV6 = azurePrefix + "azure-pip-prefix-id-ipv6"
	KeyAzureIPTags           = azurePrefix + "azure-pip-ip-tags"
	KeyAzureTags             = azurePrefix + "azure-pip-tags"
	KeyAzureDNSLabel         = azurePrefix + "azure-dns-label-name"
	KeyAzureAdditionalIPs    = azurePrefix + "azure-additional-public-ips"
	KeyAzureServiceTags      = azurePrefix + "azure-allowed-service-tags"
	KeyAzureAllowedRanges    = azurePrefix + "azure-allowed-ip-ranges"
	KeyAzureDenyOthers       = azurePrefix + "azure-deny-all-except-load-balancer-source-ranges"
	KeyAzureIdleTimeout      = azurePrefix + "azure-load-balancer-tcp-idle-timeout"
	KeyAzureNoTCPReset       = azurePrefix + "azure-load-balancer-disable-tcp-reset"
	KeyAzureHAPorts          = azurePrefix + "azure-load-balancer-enable-high-availability-ports"
	KeyAzureNoFloatingIP     = azurePrefix + "azure-disable-load-balancer-floating-ip"
	KeyAzureNoSecurityRules  = azurePrefix + "azure-disable-load-balancer-nsg-rule"
	KeyAzureConfigurations   = azurePrefix + "azure-load-balancer-configurations"
	KeyAzureProbeProtocol    = azurePrefix + "azure-load-balancer-health-probe-protocol"
	KeyAzureProbeInterval    = azurePrefix + "azure-load-balancer-health-probe-interval"
	KeyAzureProbeCount       = azurePrefix + "azure-load-balancer-health-probe-num-of-probe"
	KeyAzureProbePath        = azurePrefix + "azure-load-balancer-health-probe-request-path"
	KeyAzurePLSCreate        = azurePrefix + "azure-pls-create"
	KeyAzurePLSResourceGroup = azurePrefix + "azure-pls-resource-group"
	KeyAzurePLSName          = azurePrefix + "azure-pls-name"
	KeyAzurePLSSubnet        = azurePrefix + "azure-pls-ip-configuration-subnet"
	KeyAzurePLSAddressCount  = azurePrefix + "azure-pls-ip-configuration-ip-address-count"
	KeyAzurePLSAddresses     = azurePrefix + "azure-pls-ip-configuration-ip-address"
	KeyAzurePLSNames         = azurePrefix + "azure-pls-fqdns"
	KeyAzurePLSProxyProtocol = azurePrefix + "azure-pls-proxy-protocol"
	KeyAzurePLSVisibility    = azurePrefix + "azure-pls-visibility"
	KeyAzurePLSAutoApproval  = azurePrefix + "azure-pls-auto-approval"
)

// PrefixAzurePLS begins the annotations about private link services.
const PrefixAzurePLS = azurePrefix + "azure-pls-"

const (
	azurePortPrefix = azurePrefix + "port_"
	azurePortProbe  = "_health-probe_"
)

// Limits of Azure Resource Manager and of the peer.
const (
	azureIdleTimeoutMin   = 4 // minutes; loadBalancingRules, idleTimeoutInMinutes
	azureIdleTimeoutMax   = 100
	azureProbeIntervalMin = 5   // seconds; probes, intervalInSeconds
	azureProbeCountMin    = 2   // the peer's, of probes, probeThreshold
	azureProbeMax         = 119 // the peer's: interval times count is below 120 s
	azureResourceNameMax  = 80  // names of resources of Microsoft.Network
	azureGroupNameMax     = 90  // names of resource groups
	azureTagsMax          = 50  // tags of a resource
	azureDNSLabelMax      = 63  // RFC 1035, section 2.3.4
	azureHostNameMax      = 253 // RFC 1035, section 2.3.4
	azurePLSAddressesMax  = 8   // addresses of a private link service
)

// Limits that keep values reasonable.
const (
	azureIDMax               = 512
	azurePathMax             = 2048
	azureListMax             = 100
	azureServiceTagMax       = 100
	azureSubscriptionTextMax = 64
	azurePortNameMax         = 63 // RFC 6335 allows 15, the API of Services 63
)

// AzurePort is the key of an annotation for one port of a Service.
type AzurePort string

// The annotations for one port.
const (
	AzurePortNoRule        AzurePort = "_no_lb_rule"
	AzurePortNoProbe       AzurePort = "_no_probe_rule"
	AzurePortProbeProtocol AzurePort = azurePortProbe + "protocol"
	AzurePortProbePort     AzurePort = azurePortProbe + "port"
	AzurePortProbeInterval AzurePort = azurePortProbe + "interval"
	AzurePortProbeCount    AzurePort = azurePortProbe + "num-of-probe"
	AzurePortProbePath     AzurePort = azurePortProbe + "request-path"
)

// Key is the whole key for the port with this number.
func (k AzurePort) Key(port uint16) string {
	return fmt.Sprintf("%s%d%s", azurePortPrefix, port, string(k))
}

func (k AzurePort) pattern() string { return azurePortPrefix + "*" + string(k) }

// azureBool is a switch of which the peer takes any other value for false.
func azureBool(key, doc string) Annotation {
	return Annotation{
		Key: key, Kind: Bool{}, Invalid: Warn, InvalidMeans: "false",
		Providers: []string{Azure}, Doc: doc,
	}
}

func azureText(key string, limit int, example, doc string) Annotation {
	return Annotation{Key: key, Kind: Text{Max: limit, Example: example}, Providers: []string{Azure}, Doc: doc}
}

func azureKind(key string, kind Kind, doc string) Annotation {
	return Annotation{Key: key, Kind: kind, Providers: []string{Azure}, Doc: doc}
}

// tolerated makes what is not allowed count as the peer takes it.
func tolerated(a Annotation, means string) Annotation {
	a.Invalid, a.InvalidMeans = Warn, means
	return a
}

// inParts makes a list with items that are not allowed count in the others.
func inParts(a Annotation) Annotation {
	a.Invalid, a.Parts = Warn, true
	return a
}

func defaultTo(text string, a Annotation) Annotation {
	a.Default = text
	return a
}

func azureAnnotations() Table {
	t := Table{Title: "Azure"}
	for _, part := range [][]Annotation{
		azureFrontends(), azurePublicIPs(), azureClients(), azureRules(), azureProbes(), azurePorts(), azurePrivateLink(),
	} {
		t.Annotations = append(t.Annotations, part...)
	}
	return t
}

func azureFrontends() []Annotation {
	mode := azureText(KeyAzureMode, maxName, "__auto__",
		"Which scale set or availability set serves; basic load balancers had one of each.")
	mode.Elsewhere = map[string]string{
		Azure: "a standard load balancer serves from all nodes; remove it",
	}
	return []Annotation{
		azureBool(KeyAzureInternal, "The load balancer has private addresses alone."),
		azureKind(KeyAzureInternalSubnet, AzureName{Example: "apps"},
			"The subnet of the virtual network that an internal load balancer takes its addresses from."),
		mode,
		azureKind(KeyAzureResourceGroup, AzureGroupName{Example: "network"},
			"The resource group of the public IP addresses, whatever the key says."),
		azureKind(KeyAzureIPv4, Address{Family: V4},
			"The IPv4 address; of a public load balancer, that of an existing public IP."),
		azureKind(KeyAzureIPv6, Address{Family: V6},
			"The IPv6 address; of a public load balancer, that of an existing public IP."),
		azureKind(KeyAzureConfigurations, List{
			Item: Text{Max: azureResourceNameMax, Example: "lb1"}, Items: "names", Sep: Comma, Max: azureListMax,
		}, "The load balancer configurations that may serve, when the cloud config has several."),
		azureKind(KeyAzureAdditionalIPs, List{Item: Address{}, Items: "IP addresses", Sep: Comma, Max: azureListMax},
			"Addresses that lead to the Service from elsewhere: they are let in and shown in the status."),
	}
}

func azurePublicIPs() []Annotation {
	label := azureText(KeyAzureDNSLabel, azureDNSLabelMax, "web",
		"The DNS label of the public IPs; empty takes it away.")
	label.Empty = EmptyValue
	return []Annotation{
		azureKind(KeyAzurePublicIPName, AzureName{Example: "web-ip"},
			"The existing public IP to use; for a Service of IPv6 alone too, when the key for IPv6 is absent."),
		azureKind(KeyAzurePublicIPNameV6, AzureName{Example: "web-ipv6"}, "The existing public IP to use for IPv6."),
		azureText(KeyAzurePublicIPPrefix, azureIDMax, "/subscriptions/…/publicIPPrefixes/web",
			"The id of the prefix that a new public IP comes from; for a Service of IPv6 alone too, when the key for IPv6 is absent."),
		azureText(KeyAzurePublicIPPrefixV6, azureIDMax, "/subscriptions/…/publicIPPrefixes/web-v6",
			"The id of the prefix that a new public IPv6 address comes from."),
		inParts(azureKind(KeyAzureIPTags, Pairs{Max: azureTagsMax},
			"The IP tags of the public IPs; a change makes a new address, unless the cloud config allows it in place.")),
		inParts(azureKind(KeyAzureTags, Pairs{Max: azureTagsMax},
			"Tags for the public IPs that are made for the Service, before those of the cloud config.")),
		label,
	}
}

func azureClients() []Annotation {
	ranges := inParts(azureKind(KeyAzureAllowedRanges, List{Item: CIDR{}, Items: "IP ranges", Sep: Comma, Max: maxRanges},
		"The clients that may connect; with an item that is not allowed, all others are denied."))
	ranges.Empty = EmptyValue
	return []Annotation{
		azureKind(KeyAzureServiceTags, List{
			Item: Text{Max: azureServiceTagMax, Example: "AzureFrontDoor.Backend"}, Items: "service tags", Sep: Comma, Max: azureListMax,
		}, "The service tags of the clients that may connect."),
		ranges,
		azureBool(KeyAzureDenyOthers, "Clients in the virtual network are denied too, unless they are in the source ranges."),
		azureBool(KeyAzureNoSecurityRules, "No rule of the network security group is made for the Service; those there are taken away."),
	}
}

func azureRules() []Annotation {
	return []Annotation{
		defaultTo("4", azureKind(KeyAzureIdleTimeout, Int{Min: azureIdleTimeoutMin, Max: azureIdleTimeoutMax, Unit: "minutes"},
			"How long an idle connection is kept.")),
		azureBool(KeyAzureNoTCPReset, "An idle connection ends without a TCP reset."),
		azureBool(KeyAzureHAPorts, "An internal load balancer forwards all ports with one rule."),
		azureBool(KeyAzureNoFloatingIP, "Packets reach the nodes at their own addresses and at the node port."),
	}
}

func azureProbeProtocols() Kind { return Enum{Values: []string{"Tcp", "Http", "Https"}} }

func azureProbes() []Annotation {
	return []Annotation{
		tolerated(azureKind(KeyAzureProbeProtocol, azureProbeProtocols(),
			"The protocol of health probes, for ports without appProtocol."), "Tcp"),
		azureKind(KeyAzureProbeInterval, Int{Min: azureProbeIntervalMin, Max: azureProbeMax, Unit: "seconds"},
			"The time between two probes; times the number of probes it must be below 120."),
		azureKind(KeyAzureProbeCount, Int{Min: azureProbeCountMin, Max: azureProbeMax},
			"How many probes in a row decide whether a node is healthy."),
		azureText(KeyAzureProbePath, azurePathMax, "/healthz", "The path of HTTP and HTTPS probes."),
	}
}

func azurePorts() []Annotation {
	return []Annotation{
		azureBool(AzurePortNoRule.pattern(), "The port with this number has no load-balancing rule and no probe."),
		azureBool(AzurePortNoProbe.pattern(), "The rule of the port has no probe."),
		tolerated(azureKind(AzurePortProbeProtocol.pattern(), azureProbeProtocols(),
			"The protocol of the port's probe."), "Tcp"),
		azureText(AzurePortProbePort.pattern(), azurePortNameMax, "8080",
			"What the port's probe asks: a port of the Service by name or number, else a port of the nodes from 0 to 65535."),
		azureKind(AzurePortProbeInterval.pattern(), Int{Min: azureProbeIntervalMin, Max: azureProbeMax, Unit: "seconds"},
			"The time between two probes of the port."),
		azureKind(AzurePortProbeCount.pattern(), Int{Min: azureProbeCountMin, Max: azureProbeMax},
			"How many probes of the port in a row decide."),
		azureText(AzurePortProbePath.pattern(), azurePathMax, "/healthz", "The path of the port's HTTP or HTTPS probe."),
	}
}

func azurePrivateLink() []Annotation {
	subscriptions := func(key, doc string) Annotation {
		return azureKind(key, List{
			Item: Text{Max: azureSubscriptionTextMax, Example: "*"}, Items: "subscription ids", Sep: Space, Max: azureListMax,
		}, doc)
	}
	return []Annotation{
		azureBool(KeyAzurePLSCreate, "A private link service leads to the Service's IPv4 address."),
		azureKind(KeyAzurePLSResourceGroup, AzureGroupName{Example: "network"}, "The resource group of the private link service."),
		azureKind(KeyAzurePLSName, AzureName{Example: "web"}, "The name of the private link service."),
		azureKind(KeyAzurePLSSubnet, AzureName{Example: "links"}, "The subnet that the private link service takes its addresses from."),
		defaultTo("1", azureKind(KeyAzurePLSAddressCount, Int{Min: 1, Max: azurePLSAddressesMax},
			"How many addresses the private link service has.")),
		azureKind(KeyAzurePLSAddresses, List{
			Item: Address{Family: V4}, Items: "IP addresses", Sep: Space, Max: azurePLSAddressesMax,
		}, "The fixed addresses of the private link service; the first is the primary one."),
		azureKind(KeyAzurePLSNames, List{
			Item: Text{Max: azureHostNameMax, Example: "web.example.com"}, Items: "names", Sep: Space, Max: azureListMax,
		}, "The domain names of the private link service."),
		azureBool(KeyAzurePLSProxyProtocol, "The private link service sends the PROXY protocol; the probe of externalTrafficPolicy Local is not used."),
		subscriptions(KeyAzurePLSVisibility, "The subscriptions that see the private link service; * is for all."),
		subscriptions(KeyAzurePLSAutoApproval, "The subscriptions whose connections are approved at once."),
	}
}

// azureAddresses are the addresses asked for, at most one for each family of
// the Service: the annotation of the family counts before spec.loadBalancerIP.
// What is of another family has no effect, as in the peer.
func azureAddresses(svc *v1.Service, in *Intent) []Problem {
	var problems []Problem
	asked := map[Family]netip.Addr{}
	add := func(a netip.Addr, field, source string) {
		f := FamilyOf(a)
		if !slices.Contains(in.Families, f) {
			problems = append(problems, noEffect(field, a.String(), fmt.Sprintf(
				"%s asks for %s, but spec.ipFamilies is %s; it has no effect, remove it or add %s to spec.ipFamilies",
				source, a, familyNames(in.Families), f)))
			return
		}
		if first, ok := asked[f]; ok {
			if first != a {
				problems = append(problems, noEffect(field, a.String(), fmt.Sprintf(
					"%s is %s, but %s asks for %s, which counts; remove one of them", source, a, in.AddressSource, first)))
			}
			return
		}
		asked[f] = a
		in.Addresses = append(in.Addresses, a)
		if in.AddressSource == "" {
			in.AddressSource = source
		}
	}
	for _, key := range []string{KeyAzureIPv4, KeyAzureIPv6} {
		if a, ok := in.Options.Address(key); ok {
			add(a, annotationField(key), in.Options.Source(key))
		}
	}
	const field = "spec.loadBalancerIP"
	if text := strings.TrimSpace(svc.Spec.LoadBalancerIP); text != "" {
		a, err := netip.ParseAddr(text)
		if err != nil || a.Zone() != "" {
			return append(problems, invalidField(field, text, "an IP address such as 192.0.2.10"))
		}
		add(a.Unmap(), field, field)
	}
	return problems
}

func noEffect(field, value, sentence string) Problem {
	return Problem{Severity: Warn, Reason: ReasonConflictingAddresses, Field: field, Value: value, Sentence: sentence}
}
