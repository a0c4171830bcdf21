// SPDX-License-Identifier: Apache-2.0

package azuresim

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// join adds a pool to the first IP configuration among some.
func join(configs []object, pool string) {
	ip := elements(child(configs[0], "properties"), "ipConfigurations")[0]
	add(ip, backendPools, object{"id": pool})
}

// fill puts the scale set's model and its instances into a pool.
func (r *rig) fill(t *testing.T, pool string) {
	t.Helper()
	set := r.stored(t, r.set)
	join(networkConfigs(set), pool)
	if got := r.send(http.MethodPut, r.set, set); got.status != http.StatusOK {
		t.Fatalf("PUT of the scale set: %d %s", got.status, got.body)
	}
	for n := range 3 {
		instance := r.stored(t, r.instance(n))
		join(instanceConfigs(instance), pool)
		if got := r.send(http.MethodPut, r.instance(n), instance); got.status != http.StatusOK {
			t.Fatalf("PUT of instance %d: %d %s", n, got.status, got.body)
		}
	}
}

func (r *rig) etag(t *testing.T, id string) string { t.Helper(); return text(r.stored(t, id), "etag") }

func TestInstancesInPools(t *testing.T) {
	r := newRig(t, Options{})
	before := r.etag(t, r.lb())
	setBefore := r.etag(t, r.set)
	r.fill(t, r.pool(lbName))
	if r.etag(t, r.lb()) == before {
		t.Error("the load balancer's etag stayed while members joined")
	}
	if r.etag(t, r.set) == setBefore {
		t.Error("the scale set's etag stayed while its instances changed")
	}
	pool := properties(r.stored(t, r.pool(lbName)))
	members := elements(pool, backendAddresses)
	if len(members) != 3 || len(elements(pool, "backendIPConfigurations")) != 3 {
		t.Fatalf("members %v", members)
	}
	if name := text(members[0], "name"); name != "rig_nodepool1_0_nodepool1ipconfig1" {
		t.Errorf("member is called %q", name)
	}

	t.Run("a pool in use cannot go", func(t *testing.T) {
		for _, try := range []struct{ method, id string }{{http.MethodDelete, r.lb()}, {http.MethodDelete, r.pool(lbName)}} {
			doc := r.stored(t, r.lb())
			properties(doc)["loadBalancingRules"] = []any{}
			r.must(t, r.lb(), doc)
			if got := r.send(try.method, try.id, nil); got.code() != "LoadBalancerInUseByVirtualMachineScaleSet" {
				t.Errorf("DELETE %s: %d %s", try.id, got.status, got.body)
			}
		}
	})
	t.Run("new instances join the pools of the model", func(t *testing.T) {
		if err := r.cloud.Scale(r.set, 5); err != nil {
			t.Fatal(err)
		}
		if n := len(elements(properties(r.stored(t, r.pool(lbName))), "backendIPConfigurations")); n != 5 {
			t.Errorf("%d members", n)
		}
		if err := r.cloud.Remove(r.instance(1)); err != nil {
			t.Fatal(err)
		}
		if n := len(elements(properties(r.stored(t, r.pool(lbName))), "backendIPConfigurations")); n != 4 {
			t.Errorf("%d members after one went", n)
		}
	})
	t.Run("addresses do not mix with interfaces", func(t *testing.T) {
		got := r.send(http.MethodPut, r.pool(lbName), object{"properties": object{
			"virtualNetwork": object{"id": r.site.Network}, backendAddresses: []any{member("n", "10.240.0.4")},
		}})
		if got.code() != "LoadBalancerBackendAddressPoolMixesAddressesAndInterfaces" {
			t.Errorf("%d %s", got.status, got.body)
		}
	})
}

func TestMembershipRefuses(t *testing.T) {
	r := newRig(t, Options{})
	second := r.balancer("second", frontend("f1", "publicIPAddress", r.ip("ip2")))
	r.must(t, r.id(LoadBalancers, "second"), second)
	r.fill(t, r.pool(lbName))
	r.must(t, r.pool(intName), object{"properties": object{
		"virtualNetwork": object{"id": r.site.Network}, backendAddresses: []any{member("n", "10.240.0.4")},
	}})
	tests := []struct{ name, pool, instance, model string }{
		{
			"a second public load balancer", r.pool("second"),
			"NetworkInterfaceUsesMultipleLoadBalancersOfSameType", "VMScaleSetCannotUseMultipleLoadBalancersOfSameType",
		},
		{"a pool that is missing", r.pool("none"), "InvalidResourceReference", "InvalidResourceReference"},
		{
			"a pool of addresses", r.pool(intName), "LoadBalancerBackendAddressPoolMixesAddressesAndInterfaces",
			"LoadBalancerBackendAddressPoolMixesAddressesAndInterfaces",
		},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			instance := r.stored(t, r.instance(0))
			join(instanceConfigs(instance), tc.pool)
			if got := r.send(http.MethodPut, r.instance(0), instance); got.code() != tc.instance {
				t.Errorf("instance: %d %s", got.status, got.body)
			}
			set := r.stored(t, r.set)
			join(networkConfigs(set), tc.pool)
			if got := r.send(http.MethodPut, r.set, set); got.code() != tc.model {
				t.Errorf("model: %d %s", got.status, got.body)
			}
		})
	}
}

func TestThreeHundredRulesWhereAPoolHasMembers(t *testing.T) {
	r := newRig(t, Options{})
	doc := r.stored(t, r.lb())
	for i := range 300 {
		add(doc, "loadBalancingRules", r.rule(lbName, fmt.Sprintf("x%d", i), 1000+i))
	}
	if got := r.send(http.MethodPut, r.lb(), doc); got.status != http.StatusOK {
		t.Fatalf("301 rules and no members: %d %s", got.status, got.body)
	}
	set := r.stored(t, r.set)
	join(networkConfigs(set), r.pool(lbName))
	if got := r.send(http.MethodPut, r.set, set); got.code() != "RuleLimitPerNetworkInterfaceReached" {
		t.Errorf("a member joins 301 rules: %d %s", got.status, got.body)
	}
	list, _ := properties(doc)["loadBalancingRules"].([]any)
	properties(doc)["loadBalancingRules"] = list[:300]
	r.must(t, r.lb(), doc)
	r.fill(t, r.pool(lbName))
	properties(doc)["loadBalancingRules"] = list
	if got := r.send(http.MethodPut, r.lb(), doc); got.code() != "RuleLimitPerNetworkInterfaceReached" {
		t.Errorf("301 rules for members: %d %s", got.status, got.body)
	}
}

func TestPoolOfAddresses(t *testing.T) {
	r := newRig(t, Options{})
	got := r.send(http.MethodPut, r.pool(lbName), object{"properties": object{
		"virtualNetwork": object{"id": r.site.Network},
		backendAddresses: []any{member("b", "10.240.0.5"), member("a", "10.240.0.4")},
	}})
	if got.status != http.StatusOK {
		t.Fatalf("%d %s", got.status, got.body)
	}
	members := elements(properties(got.doc(t)), backendAddresses)
	if len(members) != 2 || text(members[0], "name") != "b" {
		t.Fatalf("members %v, want them in the order sent", members)
	}
	want := r.instance(1) + "/networkInterfaces/nodepool1/ipConfigurations/ipconfig1"
	if id := reference(properties(members[0]), "networkInterfaceIPConfiguration"); id != want {
		t.Errorf("interface %q, want %q", id, want)
	}
	if text(members[0], "etag") != r.etag(t, r.lb()) || text(got.doc(t), "etag") != r.etag(t, r.lb()) {
		t.Error("pool, members and load balancer have different etags")
	}
	before := r.etag(t, r.lb())
	if err := r.cloud.Remove(r.instance(1)); err != nil {
		t.Fatal(err)
	}
	if r.etag(t, r.lb()) == before {
		t.Error("the etag stayed when the machine behind a member went")
	}
	t.Run("a write of the pool names the operation of the pool", func(t *testing.T) {
		calls := r.cloud.Counts()
		if calls.Writes[BackendPools] != 1 || calls.Writes[LoadBalancers] != 0 {
			t.Errorf("writes %v", calls.Writes)
		}
	})
}

func TestSingleMachines(t *testing.T) {
	r := newRig(t, Options{})
	ids, err := r.site.Machines("vm", 2)
	if err != nil {
		t.Fatal(err)
	}
	nic := r.id(Interfaces, last(ids[0])+"-nic")
	doc := r.stored(t, nic)
	if vm := reference(properties(doc), "virtualMachine"); !strings.EqualFold(vm, ids[0]) {
		t.Errorf("machine of the interface: %q", vm)
	}
	join([]object{doc}, r.pool(lbName))
	if got := r.send(http.MethodPut, nic, doc); got.status != http.StatusOK {
		t.Fatalf("%d %s", got.status, got.body)
	}
	members := elements(properties(r.stored(t, r.pool(lbName))), backendAddresses)
	if len(members) != 1 || text(members[0], "name") != "rig_vm000000-nicipconfig1" {
		t.Errorf("members %v", members)
	}
	if got := r.send(http.MethodDelete, nic, nil); got.code() != "NicInUse" {
		t.Errorf("DELETE of the interface: %d %s", got.status, got.body)
	}
	if got := r.send(http.MethodDelete, r.lb(), nil); got.status != http.StatusOK {
		t.Fatalf("DELETE of the load balancer: %d %s", got.status, got.body)
	}
	if ip := first(r.stored(t, nic), "ipConfigurations"); ip[backendPools] != nil {
		t.Errorf("the interface is still in %v", ip[backendPools])
	}
}

func TestMigrationToAddresses(t *testing.T) {
	r := newRig(t, Options{})
	r.fill(t, r.pool(lbName))
	got := r.send(http.MethodPost, r.lb()+"/migrateToIpBased", object{"pools": []any{"pool"}})
	if got.status != http.StatusOK || !strings.Contains(string(got.body), `"migratedPools":["pool"]`) {
		t.Fatalf("%d %s", got.status, got.body)
	}
	pool := properties(r.stored(t, r.pool(lbName)))
	if reference(pool, "virtualNetwork") != r.site.Network || len(ipMembers(object{"properties": pool})) != 3 {
		t.Errorf("pool %v", pool)
	}
	for _, id := range []string{r.set, r.instance(0)} {
		doc := r.stored(t, id)
		configs := append(networkConfigs(doc), instanceConfigs(doc)...)
		ip := elements(child(configs[0], "properties"), "ipConfigurations")[0]
		if properties(ip)[backendPools] != nil {
			t.Errorf("%s is still in a pool", id)
		}
	}
}

func TestPrivateLinkService(t *testing.T) {
	r := newRig(t, Options{})
	id := r.id(PrivateLinks, "pls")
	body := object{"location": "eastus", "properties": object{
		"loadBalancerFrontendIpConfigurations": []any{object{"id": theInternal(r) + "/frontendIPConfigurations/f1"}},
		"ipConfigurations": []any{object{"name": "c", "properties": object{
			"subnet": object{"id": r.site.Subnet}, "primary": true,
		}}},
	}}
	const policies = "PrivateLinkServiceCannotBeCreatedInSubnetThatHasNetworkPoliciesEnabled"
	if got := r.send(http.MethodPut, id, body); got.code() != policies {
		t.Fatalf("%d %s, want %s", got.status, got.body, policies)
	}
	subnet := r.stored(t, r.site.Subnet)
	properties(subnet)["privateLinkServiceNetworkPolicies"] = "Disabled"
	if got := r.send(http.MethodPut, r.site.Subnet, subnet); got.status != http.StatusOK {
		t.Fatalf("PUT of the subnet: %d %s", got.status, got.body)
	}
	if got := r.send(http.MethodPut, id, body); got.status != http.StatusCreated {
		t.Fatalf("%d %s", got.status, got.body)
	}
	if got := r.send(http.MethodDelete, theInternal(r), nil); got.code() != "LoadBalancerInUseByPrivateLinkService" {
		t.Errorf("DELETE of the load balancer: %d %s", got.status, got.body)
	}
	if err := r.cloud.Edit(id, func(doc map[string]any) {
		add(doc, "privateEndpointConnections", object{"name": "pe", "properties": object{}})
	}); err != nil {
		t.Fatal(err)
	}
	const connected = "CannotDeletePrivateLinkServiceWithPrivateEndPointConnections"
	if got := r.send(http.MethodDelete, id, nil); got.code() != connected {
		t.Errorf("%d %s, want %s", got.status, got.body, connected)
	}
	if got := r.send(http.MethodDelete, id+"/privateEndpointConnections/pe", nil); got.status != http.StatusOK {
		t.Errorf("DELETE of the connection: %d %s", got.status, got.body)
	}
	if got := r.send(http.MethodDelete, id, nil); got.status != http.StatusOK {
		t.Errorf("DELETE of the service: %d %s", got.status, got.body)
	}
}

func TestDeleteOfWhatIsInUse(t *testing.T) {
	r := newRig(t, Options{})
	for id, code := range map[string]string{
		r.ip("ip1"):          "PublicIPAddressCannotBeDeleted",
		r.site.SecurityGroup: "InUseNetworkSecurityGroupCannotBeDeleted",
		r.site.RouteTable:    "InUseRouteTableCannotBeDeleted",
		r.site.Subnet:        "InUseSubnetCannotBeDeleted",
		r.site.Network:       "InUseSubnetCannotBeDeleted",
	} {
		if got := r.send(http.MethodDelete, id, nil); got.status != http.StatusBadRequest || got.code() != code {
			t.Errorf("DELETE %s: %d %s, want %s", id, got.status, got.body, code)
		}
	}
	if got := r.send(http.MethodDelete, r.ip("none"), nil); got.status != http.StatusNoContent {
		t.Errorf("DELETE of what is not there: %d", got.status)
	}
}

func TestDualStack(t *testing.T) {
	r := newRig(t, Options{}, "10.240.0.0/20", "fd00:240::/64")
	got := r.send(http.MethodGet, r.instance(0)+"/networkInterfaces", nil)
	nic := elements(got.doc(t), "value")[0]
	configs := elements(properties(nic), "ipConfigurations")
	if len(configs) != 2 || text(configs[0], "properties", "privateIPAddress") != "10.240.0.4" ||
		text(configs[1], "properties", "privateIPAddress") != "fd00:240::4" {
		t.Errorf("addresses of instance 0: %s", got.body)
	}
	doc := r.stored(t, theInternal(r))
	add(doc, "frontendIPConfigurations", object{"name": "f6", "properties": object{
		"subnet": object{"id": r.site.Subnet}, "privateIPAddressVersion": "IPv6",
	}})
	put := r.send(http.MethodPut, theInternal(r), doc)
	fronts := elements(properties(put.doc(t)), "frontendIPConfigurations")
	if addr := text(fronts[1], "properties", "privateIPAddress"); addr != "fd00:240::7" {
		t.Errorf("frontend %q: %d %s", addr, put.status, put.body)
	}
	rule := r.rule(intName, "r6", 80)
	properties(rule)["frontendIPConfiguration"] = object{"id": text(fronts[1], "id")}
	doc = put.doc(t)
	add(doc, "loadBalancingRules", rule)
	if got := r.send(http.MethodPut, theInternal(r), doc); got.code() != "FloatingIPNotSupportedForInternalIPv6" {
		t.Errorf("floating IP on internal IPv6: %d %s", got.status, got.body)
	}
	instance := r.stored(t, r.instance(0))
	ips := elements(child(instanceConfigs(instance)[0], "properties"), "ipConfigurations")
	add(ips[1], backendPools, object{"id": r.pool(lbName)})
	if got := r.send(http.MethodPut, r.instance(0), instance); got.code() != "LoadBalancingRuleIPVersionMismatch" {
		t.Errorf("an IPv6 member behind an IPv4 frontend: %d %s", got.status, got.body)
	}
	body := publicIP()
	properties(body)["publicIPAddressVersion"] = "IPv6"
	six := r.send(http.MethodPut, r.ip("six"), body)
	if addr := text(six.doc(t), "properties", "ipAddress"); addr != "2603:1030:8::1" {
		t.Errorf("public address %q", addr)
	}
}
