// SPDX-License-Identifier: Apache-2.0

package azure_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/azure"
)

const prefix = "service.beta.kubernetes.io/"

// empty is a cluster without Services, whose security group has a rule of a
// user.
func empty(t testing.TB) *site {
	t.Helper()
	s := load(t, "testdata/golden/vmss-nic.dual-stack.json")
	s.observed.LoadBalancers, s.observed.Services = nil, nil
	s.observed.PublicIPs = map[string][]json.RawMessage{"rig": nil, "network": nil}
	s.observed.SecurityGroup = json.RawMessage(`{"name":"rig-nsg","id":"` + s.settings.SecurityGroupID() + `","etag":"1","location":"eastus","properties":{"securityRules":[` +
		`{"name":"ssh","etag":"1","properties":{"protocol":"Tcp","sourcePortRange":"*","destinationPortRange":"22","sourceAddressPrefix":"203.0.113.0/24","destinationAddressPrefix":"20.60.0.101","access":"Allow","priority":500,"direction":"Inbound","note":1.0}}],"unknown":[1 , 2]}}`)
	return s
}

// newService is a Service with a port for each of the texts, such as TCP:80.
func newService(name string, ports ...string) *v1.Service {
	uid := strings.Repeat("0", 12-len(name)) + hex(name)
	svc := &v1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name, UID: types.UID("11111111-2222-3333-4444-" + uid[:12]), Annotations: map[string]string{}},
		Spec: v1.ServiceSpec{
			Type: v1.ServiceTypeLoadBalancer, IPFamilies: []v1.IPFamily{v1.IPv4Protocol}, SessionAffinity: v1.ServiceAffinityNone,
			ExternalTrafficPolicy: v1.ServiceExternalTrafficPolicyCluster,
		},
	}
	for i, p := range ports {
		proto, number, _ := strings.Cut(p, ":")
		var n int32
		for _, d := range number {
			n = n*10 + d - '0'
		}
		svc.Spec.Ports = append(svc.Spec.Ports, v1.ServicePort{
			Name: "port" + number, Protocol: v1.Protocol(proto), Port: n, NodePort: int32(30000 + 100*len(name) + i + int(name[0])),
		})
	}
	return svc
}

// numbered is one of many Services.
func numbered(i int) *v1.Service {
	svc := newService("web", "TCP:80")
	svc.Name = fmt.Sprintf("web-%03d", i)
	svc.UID = types.UID(fmt.Sprintf("11111111-2222-3333-4444-%012x", i*16))
	svc.Spec.Ports[0].NodePort = int32(30000 + i)
	return svc
}

// hex turns a name into hexadecimal digits, so that uids differ.
func hex(name string) string {
	var b strings.Builder
	for _, c := range name {
		b.WriteByte("0123456789abcdef"[c%16])
	}
	return b.String()
}

// with adds annotations, given as key and value under the usual prefix.
func with(svc *v1.Service, annotations ...string) *v1.Service {
	svc = svc.DeepCopy()
	for i := 0; i < len(annotations); i += 2 {
		svc.Annotations[prefix+annotations[i]] = annotations[i+1]
	}
	return svc
}

func dual(svc *v1.Service) *v1.Service {
	svc = svc.DeepCopy()
	svc.Spec.IPFamilies = []v1.IPFamily{v1.IPv4Protocol, v1.IPv6Protocol}
	return svc
}

func six(svc *v1.Service) *v1.Service {
	svc = svc.DeepCopy()
	svc.Spec.IPFamilies = []v1.IPFamily{v1.IPv6Protocol}
	return svc
}

func local(svc *v1.Service) *v1.Service {
	svc = svc.DeepCopy()
	svc.Spec.ExternalTrafficPolicy, svc.Spec.HealthCheckNodePort = v1.ServiceExternalTrafficPolicyLocal, 32000
	return svc
}

func edit(svc *v1.Service, change func(*v1.ServiceSpec)) *v1.Service {
	svc = svc.DeepCopy()
	change(&svc.Spec)
	return svc
}

// publish lets the Services' status show what they have, as the cluster does.
func (s *site) publish(t *testing.T, services ...*v1.Service) {
	t.Helper()
	var addresses azure.Addresses
	addresses.LearnAll(&s.observed)
	s.observed.Services = services
	r := s.compute(t, s.all(provider.Resync))
	for _, it := range s.all(provider.Resync).Items {
		it.Service.Status.LoadBalancer = *addresses.Status(r.Places[it.Key], nil)
	}
}

// userIP is a public IP that a user made.
func (s *site) userIP(t *testing.T, group, name, address string) {
	t.Helper()
	family := "IPv4"
	if strings.Contains(address, ":") {
		family = "IPv6"
	}
	s.add(t, json.RawMessage(`{"name":"`+name+`","id":"`+s.settings.PublicIPID(group, name)+`","etag":"1","location":"eastus","sku":{"name":"Standard"},"tags":{"mine":"yes"},`+
		`"properties":{"ipAddress":"`+address+`","publicIPAddressVersion":"`+family+`","publicIPAllocationMethod":"Static"}}`))
}

// story is a chain of batches.
type story struct {
	prepare func(*testing.T, *site)
	turns   [][]*v1.Service // the Services there are after each turn
}

func stories() map[string]story {
	web := newService("web", "TCP:80", "TCP:443")
	return map[string]story{
		"the first Service and the last": {nil, [][]*v1.Service{{web}, {}}},
		"one more and one fewer":         {nil, [][]*v1.Service{{web}, {web, newService("api", "UDP:53", "TCP:80")}, {newService("api", "UDP:53", "TCP:80")}}},
		"dual stack":                     {nil, [][]*v1.Service{{dual(web)}, {web}, {dual(web)}}},
		"internal of both families":      {nil, [][]*v1.Service{{with(dual(web), "azure-load-balancer-internal", "true")}, {}}},
		"internal to public and back": {nil, [][]*v1.Service{
			{with(web, "azure-load-balancer-internal", "true")}, {web}, {with(web, "azure-load-balancer-internal", "true")},
		}},
		"internal with an address": {nil, [][]*v1.Service{
			{with(web, "azure-load-balancer-internal", "true", "azure-load-balancer-ipv4", "10.240.3.9")},
			{with(web, "azure-load-balancer-internal", "true", "azure-load-balancer-ipv4", "10.240.3.10")},
		}},
		"two with one public IP of the user": {
			func(t *testing.T, s *site) { t.Helper(); s.userIP(t, "network", "shared", "20.70.0.1") },
			[][]*v1.Service{
				{with(web, "azure-pip-name", "shared", "azure-load-balancer-resource-group", "network"), with(newService("api", "TCP:81"), "azure-load-balancer-ipv4", "20.70.0.1", "azure-load-balancer-resource-group", "network")},
				{with(newService("api", "TCP:81"), "azure-load-balancer-ipv4", "20.70.0.1", "azure-load-balancer-resource-group", "network")},
				{},
			},
		},
		"two with an address of ours": {nil, [][]*v1.Service{
			{web},
			{web, with(newService("api", "TCP:81"), "azure-load-balancer-ipv4", "20.60.0.101")},
			{with(newService("api", "TCP:81"), "azure-load-balancer-ipv4", "20.60.0.101")},
			{},
		}},
		"ports and policy change": {nil, [][]*v1.Service{
			{web}, {newService("web", "TCP:80", "TCP:8443")}, {local(newService("web", "TCP:80", "UDP:8443"))},
		}},
		"all ports": {nil, [][]*v1.Service{{with(web, "azure-load-balancer-internal", "true", "azure-load-balancer-enable-high-availability-ports", "true")}}},
		"clients": {nil, [][]*v1.Service{
			{edit(web, func(s *v1.ServiceSpec) {
				s.LoadBalancerSourceRanges = []string{"10.0.0.0/9", "10.128.0.0/9", "192.0.2.0/24"}
			})},
			{with(web, "azure-allowed-service-tags", "AzureCloud,AzureFrontDoor.Backend", "azure-allowed-ip-ranges", "198.51.100.0/24", "azure-deny-all-except-load-balancer-source-ranges", "true")},
			{with(web, "azure-allowed-ip-ranges", "198.51.100.0/24,x")},
			{with(web, "azure-disable-load-balancer-nsg-rule", "true")},
		}},
		"no floating IP": {nil, [][]*v1.Service{
			{with(web, "azure-disable-load-balancer-floating-ip", "true"), with(newService("api", "TCP:81"), "azure-disable-load-balancer-floating-ip", "true")},
			{with(newService("api", "TCP:81"), "azure-disable-load-balancer-floating-ip", "true")},
		}},
		"options of rules and probes": {nil, [][]*v1.Service{{with(edit(web, func(s *v1.ServiceSpec) {
			s.SessionAffinity = v1.ServiceAffinityClientIP
			s.Ports[1].AppProtocol = new("https")
		}),
			"azure-load-balancer-tcp-idle-timeout", "30", "azure-load-balancer-disable-tcp-reset", "true",
			"azure-load-balancer-health-probe-interval", "10", "azure-load-balancer-health-probe-num-of-probe", "3",
			"azure-load-balancer-health-probe-request-path", "/ready", "port_80_health-probe_protocol", "http",
			"port_80_health-probe_port", "9090", "port_443_health-probe_num-of-probe", "5")}, {with(web, "port_80_no_probe_rule", "true", "port_443_no_lb_rule", "true")}}},
		"labels, tags and further addresses": {
			func(_ *testing.T, s *site) { s.settings.Tags = map[string]string{"team": "net"} },
			[][]*v1.Service{
				{with(web, "azure-dns-label-name", "shop", "azure-pip-tags", "Team=web,x=y", "azure-additional-public-ips", "203.0.113.9", "azure-pip-ip-tags", "RoutingPreference=Internet")},
				{with(web, "azure-dns-label-name", "", "azure-pip-ip-tags", "RoutingPreference=Internet")},
			},
		},
		"a prefix and a subnet of one's own": {
			func(t *testing.T, s *site) {
				t.Helper()
				s.observed.Subnets["apps"] = json.RawMessage(`{"id":"` + s.settings.SubnetID("apps") + `","name":"apps","properties":{"addressPrefix":"10.241.0.0/24"}}`)
			},
			[][]*v1.Service{
				{with(web, "azure-pip-prefix-id", "/subscriptions/x/publicIPPrefixes/pre"), with(newService("api", "TCP:81"), "azure-load-balancer-internal", "true", "azure-load-balancer-internal-subnet", "apps")},
				{web, with(newService("api", "TCP:81"), "azure-load-balancer-internal", "true")},
			},
		},
		"one probe for all": {
			func(_ *testing.T, s *site) { s.settings.Probes = azure.SharedProbe },
			[][]*v1.Service{{web, newService("api", "UDP:53")}, {web}, {local(web)}},
		},
	}
}

// Each story is a chain of batches; the plan of each is written down, then
// done, and then nothing is left to do.
func TestStories(t *testing.T) {
	for name, tt := range stories() {
		t.Run(name, func(t *testing.T) {
			s := empty(t)
			if tt.prepare != nil {
				tt.prepare(t, s)
			}
			var out strings.Builder
			for _, turn := range tt.turns {
				batch := s.turn(turn)
				out.WriteString(text(t, s.compute(t, batch)))
				s.apply(t, batch, nil)
				s.settled(t, batch)
				s.publish(t, turn...)
				s.settled(t, s.all(provider.Resync))
				s.settled(t, s.all(provider.Repair))
			}
			golden(t, name, out.String())
		})
	}
}

// turn is the batch that leads to these Services.
func (s *site) turn(services []*v1.Service) provider.Batch {
	batch := s.batch()
	there := map[types.UID]bool{}
	for _, svc := range services {
		there[svc.UID] = true
	}
	for _, old := range s.observed.Services {
		if !there[old.UID] {
			batch.Items = append(batch.Items, item(old, provider.Remove, provider.Edit))
		}
		for _, svc := range services {
			if svc.UID == old.UID {
				svc.Status = old.Status
			}
		}
	}
	for _, svc := range services {
		batch.Items = append(batch.Items, item(svc, provider.Serve, provider.Edit))
	}
	return batch
}
