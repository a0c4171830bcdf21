// SPDX-License-Identifier: Apache-2.0

package azuresim

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"
)

// rig is a site with three instances, a public load balancer that has one rule
// and one pool, an internal one, and public IPs.
type rig struct {
	client

	cloud *Cloud
	site  *Site
	set   string
}

const (
	lbName  = "kubernetes"
	intName = "kubernetes-internal"
)

func newRig(t *testing.T, o Options, prefixes ...string) *rig {
	t.Helper()
	c := New(o)
	var own []netip.Prefix
	for _, p := range prefixes {
		own = append(own, netip.MustParsePrefix(p))
	}
	site, err := c.NewSite(SiteOptions{Prefixes: own})
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{cloud: c, site: site, set: site.UniformScaleSet("nodepool1", 3)}
	for _, name := range []string{"ip1", "ip2"} {
		r.must(t, r.ip(name), publicIP())
	}
	r.must(t, r.lb(), r.balancer(lbName, frontend("f1", "publicIPAddress", r.ip("ip1"))))
	internal := r.balancer(intName, frontend("f1", "subnet", site.Subnet))
	r.must(t, r.id(LoadBalancers, intName), internal)
	r.client = connect(t, c)
	return r
}

func (r *rig) must(t *testing.T, id string, body any) {
	t.Helper()
	if _, err := r.cloud.Make(id, body); err != nil {
		t.Fatal(err)
	}
}

func (r *rig) id(typeName string, names ...string) string {
	return r.cloud.ID("rig", typeName, names...)
}
func (r *rig) lb() string            { return r.id(LoadBalancers, lbName) }
func (r *rig) ip(name string) string { return r.id(PublicIPs, name) }
func (r *rig) instance(n int) string { return fmt.Sprintf("%s/virtualMachines/%d", r.set, n) }

func (r *rig) pool(lb string) string { return r.id(BackendPools, lb, "pool") }

func publicIP() object {
	return object{
		"location": "eastus", "sku": object{"name": "Standard"},
		"properties": object{"publicIPAllocationMethod": "Static", "publicIPAddressVersion": "IPv4"},
	}
}

func frontend(name, field, id string) object {
	return object{"name": name, "properties": object{field: object{"id": id}}}
}

// balancer has a rule for port 80 on its first frontend.
func (r *rig) balancer(name string, frontends ...any) object {
	return object{
		"location": "eastus", "sku": object{"name": "Standard"},
		"properties": object{
			"frontendIPConfigurations": frontends,
			"backendAddressPools":      []any{object{"name": "pool"}},
			"probes": []any{object{"name": "p", "properties": object{
				"protocol": "Tcp", "port": 30080, "intervalInSeconds": 5, "probeThreshold": 2,
			}}},
			"loadBalancingRules": []any{r.rule(name, "r80", 80)},
		},
	}
}

func (r *rig) rule(lb, name string, port int) object {
	at := r.id(LoadBalancers, lb)
	return object{"name": name, "properties": object{
		"frontendIPConfiguration": object{"id": at + "/frontendIPConfigurations/f1"},
		"backendAddressPool":      object{"id": at + "/backendAddressPools/pool"},
		"probe":                   object{"id": at + "/probes/p"},
		"protocol":                "Tcp", "frontendPort": port, "backendPort": port, "enableFloatingIP": true,
	}}
}

// stored is what is there, to be changed and sent back.
func (r *rig) stored(t *testing.T, id string) object {
	t.Helper()
	data, ok := r.cloud.Get(id)
	if !ok {
		t.Fatalf("no %s", id)
	}
	doc, err := decode(data)
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// add appends an element to an array in properties.
func add(doc object, array string, e any) {
	p := properties(doc)
	list, _ := p[array].([]any)
	p[array] = append(list, e)
}

// first is the properties of the first element.
func first(doc object, array string) object {
	return properties(elements(child(doc, "properties"), array)[0])
}

// refusalCase changes a document that stands and sends it back.
type refusalCase struct {
	name   string
	id     func(*rig) string
	change func(*rig, object)
	status int
	code   string
}

func runRefusals(t *testing.T, cases []refusalCase) {
	t.Helper()
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			r := newRig(t, Options{})
			id := tc.id(r)
			doc := object{"location": "eastus"}
			if _, ok := r.cloud.Get(id); ok {
				doc = r.stored(t, id)
			}
			tc.change(r, doc)
			before := normal(t, r.cloud.State())
			got := r.send(http.MethodPut, id, doc)
			if got.status != tc.status || got.code() != tc.code {
				t.Errorf("PUT: %d %s, want %d %s", got.status, got.body, tc.status, tc.code)
			}
			if normal(t, r.cloud.State()) != before {
				t.Error("the refused PUT changed something")
			}
		})
	}
}

func theBalancer(r *rig) string { return r.lb() }
func theInternal(r *rig) string { return r.id(LoadBalancers, intName) }

func TestLoadBalancerRefuses(t *testing.T) {
	const bad = http.StatusBadRequest
	runRefusals(t, []refusalCase{
		{"a frontend whose public IP is missing", theBalancer, func(r *rig, d object) {
			add(d, "frontendIPConfigurations", frontend("f2", "publicIPAddress", r.ip("none")))
		}, bad, "InvalidResourceReference"},
		{"a public IP used twice in one document", theBalancer, func(r *rig, d object) {
			add(d, "frontendIPConfigurations", frontend("f2", "publicIPAddress", strings.ToUpper(r.ip("ip1"))))
		}, bad, "PublicIPReferencedByMultipleIPConfigs"},
		{
			"a public IP that another load balancer uses", func(r *rig) string { return r.id(LoadBalancers, "new") },
			func(r *rig, d object) {
				d["sku"] = object{"name": "Standard"}
				add(d, "frontendIPConfigurations", frontend("f1", "publicIPAddress", r.ip("ip1")))
			}, bad, "PublicIPAddressInUse",
		},
		{
			"a load balancer of another sku than its public IP", func(r *rig) string { return r.id(LoadBalancers, "new") },
			func(r *rig, d object) {
				add(d, "frontendIPConfigurations", frontend("f1", "publicIPAddress", r.ip("ip2")))
			}, bad, "PublicIPAndLBSkuDoNotMatch",
		},
		{"public and private frontends together", theBalancer, func(r *rig, d object) {
			add(d, "frontendIPConfigurations", frontend("f2", "subnet", r.site.Subnet))
		}, bad, "LoadBalancerUsesPublicAndPrivateFrontends"},
		{"a frontend name used twice", theBalancer, func(r *rig, d object) {
			add(d, "frontendIPConfigurations", frontend("F1", "publicIPAddress", r.ip("ip2")))
		}, bad, "DuplicateResourceName"},
		{"an address that a machine has", theInternal, func(_ *rig, d object) {
			p := first(d, "frontendIPConfigurations")
			p["privateIPAllocationMethod"], p["privateIPAddress"] = "Static", "10.240.0.5"
		}, bad, "PrivateIPAddressIsAllocated"},
		{"an address outside of the subnet", theInternal, func(_ *rig, d object) {
			p := first(d, "frontendIPConfigurations")
			p["privateIPAllocationMethod"], p["privateIPAddress"] = "Static", "10.241.0.5"
		}, bad, "PrivateIPAddressNotInSubnet"},
		{"an address that Azure keeps", theInternal, func(_ *rig, d object) {
			p := first(d, "frontendIPConfigurations")
			p["privateIPAllocationMethod"], p["privateIPAddress"] = "Static", "10.240.0.3"
		}, bad, "PrivateIPAddressInReservedRange"},
		{"new zones on a frontend", theInternal, func(_ *rig, d object) {
			elements(child(d, "properties"), "frontendIPConfigurations")[0]["zones"] = []any{"1"}
		}, bad, "ResourceAvailabilityZonesCannotBeModified"},
		{"a rule whose pool is missing", theBalancer, func(r *rig, d object) {
			p := first(d, "loadBalancingRules")
			delete(p, "backendAddressPools")
			p["backendAddressPool"] = object{"id": r.lb() + "/backendAddressPools/none"}
		}, bad, "InvalidResourceReference"},
		{"a rule whose probe stands in another load balancer", theBalancer, func(r *rig, d object) {
			first(d, "loadBalancingRules")["probe"] = object{"id": r.id(LoadBalancers, intName) + "/probes/p"}
		}, bad, "InvalidResourceReference"},
		{"a rule whose frontend is dropped", theBalancer, func(_ *rig, d object) {
			properties(d)["frontendIPConfigurations"] = []any{}
		}, bad, "InvalidResourceReference"},
		{"the same frontend, protocol and port twice", theBalancer, func(r *rig, d object) {
			add(d, "loadBalancingRules", r.rule(lbName, "again", 80))
		}, bad, "RulesUseSameFrontendPortProtocolAndIPConfig"},
		{"the same backend port twice without floating IP", theBalancer, func(r *rig, d object) {
			first(d, "loadBalancingRules")["enableFloatingIP"] = false
			rule := r.rule(lbName, "r81", 81)
			p := properties(rule)
			p["backendPort"], p["enableFloatingIP"] = 80, false
			add(d, "loadBalancingRules", rule)
		}, bad, "RulesUseSameBackendPortProtocolAndPool"},
		{"all ports on a public frontend", theBalancer, func(_ *rig, d object) {
			p := first(d, "loadBalancingRules")
			p["protocol"], p["frontendPort"], p["backendPort"] = "All", 0, 0
		}, bad, "LoadBalancingRuleProtocolAllNotSupported"},
		{"all ports beside another rule", theInternal, func(r *rig, d object) {
			rule := r.rule(intName, "all", 0)
			properties(rule)["protocol"] = "All"
			add(d, "loadBalancingRules", rule)
		}, bad, "LoadBalancingRuleAllPortsMustBeAlone"},
		{"an outbound rule beside a rule with SNAT", theBalancer, func(r *rig, d object) {
			add(d, "outboundRules", object{"name": "out", "properties": object{
				"protocol":                 "All",
				"backendAddressPool":       object{"id": r.pool(lbName)},
				"frontendIPConfigurations": []any{object{"id": r.lb() + "/frontendIPConfigurations/f1"}},
			}})
		}, bad, "LoadBalancingRuleMustDisableSNATSinceSameFrontendIPConfigurationIsReferencedByOutboundRule"},
		{"two fields of a rule that name different pools", theBalancer, func(r *rig, d object) {
			add(d, "backendAddressPools", object{"name": "other"})
			first(d, "loadBalancingRules")["backendAddressPool"] = object{"id": r.lb() + "/backendAddressPools/other"}
		}, bad, "LoadBalancingRuleBackendAddressPoolsDiffer"},
		{"a rule's name that is too long", theBalancer, func(r *rig, d object) {
			add(d, "loadBalancingRules", r.rule(lbName, strings.Repeat("x", 81), 81))
		}, bad, "InvalidResourceName"},
		{"a tag that is too long", theBalancer, func(_ *rig, d object) {
			d["tags"] = object{"k": strings.Repeat("x", 257)}
		}, bad, "InvalidTagValueLength"},
		{"members by address without a network", theBalancer, func(_ *rig, d object) {
			add(elements(child(d, "properties"), "backendAddressPools")[0], backendAddresses, member("n", "10.240.0.4"))
		}, bad, "LoadBalancerBackendAddressPoolNeedsVirtualNetwork"},
		{"a member outside of the network", theBalancer, func(r *rig, d object) {
			pool := elements(child(d, "properties"), "backendAddressPools")[0]
			properties(pool)["virtualNetwork"] = object{"id": r.site.Network}
			add(pool, backendAddresses, member("n", "192.0.2.1"))
		}, bad, "BackendAddressNotInVirtualNetwork"},
		{"a probe interval under five seconds", theBalancer, func(_ *rig, d object) {
			first(d, "probes")["intervalInSeconds"] = 4
		}, bad, "InvalidRequestFormat/InvalidJsonValue"},
		{"a request path on a Tcp probe", theBalancer, func(_ *rig, d object) {
			first(d, "probes")["requestPath"] = "/"
		}, bad, "ProbeRequestPathInvalid"},
		{"another sku", theBalancer, func(_ *rig, d object) {
			d["sku"] = object{"name": "Basic"}
		}, bad, "SkuCannotBeChangedOnUpdate"},
		{"another location", theBalancer, func(_ *rig, d object) {
			d["location"] = "westus"
		}, http.StatusConflict, "InvalidResourceLocation"},
		{"no location", theBalancer, func(_ *rig, d object) { delete(d, "location") }, bad, "LocationRequired"},
		{"more than 1500 rules", theBalancer, func(r *rig, d object) {
			for i := range 1500 {
				add(d, "loadBalancingRules", r.rule(lbName, fmt.Sprintf("x%d", i), 1000+i))
			}
		}, bad, "LoadBalancerRuleCountLimitReached"},
	})
}

func member(name, addr string) object {
	return object{"name": name, "properties": object{"ipAddress": addr}}
}

func TestPublicIPRefuses(t *testing.T) {
	const bad = http.StatusBadRequest
	at := func(name string) func(*rig) string { return func(r *rig) string { return r.ip(name) } }
	runRefusals(t, []refusalCase{
		{"dynamic Standard", at("ip3"), func(_ *rig, d object) {
			d["sku"] = object{"name": "Standard"}
		}, bad, "StandardSkuPublicIPAddressMustBeStatic"},
		{"another version", at("ip1"), func(_ *rig, d object) {
			properties(d)["publicIPAddressVersion"] = "IPv6"
		}, bad, "PublicIPAddressVersionCannotBeChanged"},
		{"a sku left out", at("ip1"), func(_ *rig, d object) { delete(d, "sku") }, bad, "SkuCannotBeChangedOnUpdate"},
		{"zones that it was not made with", at("ip1"), func(_ *rig, d object) {
			d["zones"] = []any{"1", "2", "3"}
		}, bad, "ResourceAvailabilityZonesCannotBeModified"},
		{"a bad name", at("-bad-"), func(*rig, object) {}, bad, "InvalidResourceName"},
		{"a body of another name", at("ip1"), func(_ *rig, d object) { d["name"] = "ip2" }, bad, "InvalidRequestContent"},
	})
	t.Run("a DNS label that is taken", func(t *testing.T) {
		r := newRig(t, Options{})
		for i, name := range []string{"ip1", "ip2"} {
			doc := r.stored(t, r.ip(name))
			properties(doc)["dnsSettings"] = object{"domainNameLabel": "shop"}
			got := r.send(http.MethodPut, r.ip(name), doc)
			if want := []string{"", "DnsRecordInUse"}[i]; got.code() != want {
				t.Errorf("%s: %d %s, want code %q", name, got.status, got.body, want)
			}
		}
		if fqdn := text(r.stored(t, r.ip("ip1")), "properties", "dnsSettings", "fqdn"); fqdn != "shop.eastus.cloudapp.azure.com" {
			t.Errorf("fqdn %q", fqdn)
		}
	})
}

func TestPathsThatAreRefused(t *testing.T) {
	r := newRig(t, Options{})
	tests := []struct {
		name, method, url, body string
		status                  int
		code                    string
	}{
		{"no api-version", http.MethodGet, r.lb() + "?a=b", "", 400, "MissingApiVersionParameter"},
		{"an api-version of another type", http.MethodGet, r.lb() + "?api-version=2025-04-01", "", 400, "NoRegisteredProviderFound"},
		{"an unknown type", http.MethodGet, r.id("Microsoft.Network/loadBalancer", "x"), "", 404, "InvalidResourceType"},
		{"an unknown resource", http.MethodGet, r.id(LoadBalancers, "x"), "", 404, "ResourceNotFound"},
		{"an unknown pool", http.MethodGet, r.id(BackendPools, lbName, "x"), "", 404, "NotFound"},
		{"an unknown group", http.MethodGet, r.cloud.ID("none", LoadBalancers), "", 404, "ResourceGroupNotFound"},
		{"a PUT to an unknown group", http.MethodPut, r.cloud.ID("none", LoadBalancers, "x"), "{}", 404, "ResourceGroupNotFound"},
		{"an unknown subscription", http.MethodGet, strings.Replace(r.lb(), "1111", "2222", 1), "", 404, "SubscriptionNotFound"},
		{"a PATCH", http.MethodPatch, r.lb(), "{}", 405, "HttpMethodNotAllowed"},
		{"a DELETE of a scale set", http.MethodDelete, r.set, "", 405, "HttpMethodNotAllowed"},
		{"a PUT that is no JSON", http.MethodPut, r.lb(), "{", 400, "InvalidRequestContent"},
		{"a pool of a load balancer that is missing", http.MethodPut, r.id(BackendPools, "x", "y"), "{}", 404, "ParentResourceNotFound"},
		{
			"machines expanded without a filter", http.MethodGet,
			r.id(Machines) + "?api-version=" + computeVersion + "&$expand=instanceView", "", 400, "InvalidParameter",
		},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			cl := r.client
			cl.t = t
			got := cl.send(tc.method, tc.url, json.RawMessage(tc.body))
			if got.status != tc.status || got.code() != tc.code {
				t.Errorf("%d %s, want %d %s", got.status, got.body, tc.status, tc.code)
			}
		})
	}
}
