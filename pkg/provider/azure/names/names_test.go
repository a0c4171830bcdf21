// SPDX-License-Identifier: Apache-2.0

package names_test

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/provider/azure/names"
)

const uid = types.UID("2643471d-0db6-4d29-99f7-79c0d12664ea")

func TestNamesOfAService(t *testing.T) {
	plain := names.Service{UID: uid}
	dual := names.Service{UID: uid, DualStack: true}
	subnet := names.Service{UID: uid, Subnet: "apps", DualStack: true}
	long := names.Service{UID: uid, Subnet: strings.Repeat("s", 41) + "-more-of-the-name", DualStack: true}
	const prefix = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Network/publicIPPrefixes/web"
	tests := map[string]struct{ got, want string }{
		"a frontend":                          {plain.Frontend(intent.V4), "a2643471d0db64d2999f779c0d12664e"},
		"IPv6 alone has no suffix":            {plain.Frontend(intent.V6), "a2643471d0db64d2999f779c0d12664e"},
		"IPv6 of both has one":                {dual.Frontend(intent.V6), "a2643471d0db64d2999f779c0d12664e-IPv6"},
		"a frontend in a subnet":              {subnet.Frontend(intent.V6), "a2643471d0db64d2999f779c0d12664e-apps-IPv6"},
		"a frontend cut behind a dash":        {long.Frontend(intent.V4), "a2643471d0db64d2999f779c0d12664e-" + strings.Repeat("s", 41) + "_"},
		"a rule":                              {dual.Rule(intent.TCP, 80, intent.V4), "a2643471d0db64d2999f779c0d12664e-TCP-80"},
		"a rule of IPv6":                      {dual.Rule(intent.UDP, 53, intent.V6), "a2643471d0db64d2999f779c0d12664e-UDP-53-IPv6"},
		"a rule in a subnet":                  {subnet.Rule(intent.SCTP, 80, intent.V4), "a2643471d0db64d2999f779c0d12664e-apps-SCTP-80"},
		"a rule in a subnet with a long name": {long.Rule(intent.TCP, 8080, intent.V6), "a2643471d0db64d2999f779c0d12664e-" + strings.Repeat("s", 33) + "-TCP-8080-IPv6"},
		"a public IP":                         {dual.PublicIP("kubernetes", "", intent.V4), "kubernetes-a2643471d0db64d2999f779c0d12664e"},
		"a public IP of a prefix":             {dual.PublicIP("kubernetes", prefix, intent.V6), "kubernetes-a2643471d0db64d2999f779c0d12664e-web-IPv6"},
		"a public IP of a long cluster":       {plain.PublicIP(strings.Repeat("c", 60), "", intent.V4), strings.Repeat("c", 60) + "-a2643471d0db64"},
		"a pool":                              {names.Pool("kubernetes", intent.V4), "kubernetes"},
		"a pool of IPv6":                      {names.Pool("kubernetes", intent.V6), "kubernetes-IPv6"},
		"a pool of one Service":               {names.LocalPool("Default", "web", intent.V6), "default-web-ipv6"},
		"an internal load balancer":           {names.LoadBalancer("kubernetes", names.Internal), "kubernetes-internal"},
		"its configuration":                   {names.Configuration("kubernetes-Internal"), "kubernetes"},
		"a deny rule":                         {names.DenyRule(intent.V6), "k8s-azure-lb_deny-all_IPv6"},
		"a private link service":              {names.PrivateLink("a1"), "pls-a1"},
		"its fixed configuration":             {names.PrivateLinkStatic("s", "pls-a1", "10.0.0.4"), "s-pls-a1-static-10.0.0.4"},
		"its cut configuration":               {names.PrivateLinkDynamic(strings.Repeat("s", 80), "pls-a1", 1), strings.Repeat("s", 70) + "-dynamic-1"},
		"the group of an id":                  {names.Group(prefix), "g"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if tt.got != tt.want {
				t.Errorf("got  %s (%d)\nwant %s (%d)", tt.got, len(tt.got), tt.want, len(tt.want))
			}
		})
	}
}

// The security rules of the states that the peer left have the names that we
// would give them.
func TestNamesOfSecurityRulesAreThePeers(t *testing.T) {
	files, err := filepath.Glob("../testdata/golden/*.json")
	if err != nil || len(files) == 0 {
		t.Fatal("no states", err)
	}
	seen := 0
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var golden struct {
			State struct {
				Resources []struct {
					Properties struct {
						SecurityRules []struct {
							Name       string
							Properties struct {
								Protocol, SourceAddressPrefix                string
								SourceAddressPrefixes, DestinationPortRanges []string
								Priority                                     int
							}
						}
					}
				}
			}
		}
		if err := json.Unmarshal(raw, &golden); err != nil {
			t.Fatal(err)
		}
		for _, r := range golden.State.Resources {
			for _, rule := range r.Properties.SecurityRules {
				p := rule.Properties
				sources := p.SourceAddressPrefixes
				if p.SourceAddressPrefix != "" {
					sources = append(sources, p.SourceAddressPrefix)
				}
				family := intent.V4
				if strings.Contains(rule.Name, "IPv6") {
					family = intent.V6
				}
				var ports []uint16
				for _, text := range p.DestinationPortRanges {
					var port uint16
					if err := json.Unmarshal([]byte(text), &port); err != nil {
						t.Fatal(err)
					}
					ports = append(ports, port)
				}
				if got := names.AllowRule(family, p.Protocol, sources, ports); got != rule.Name || !names.OwnsSecurityRule(got, p.Priority) {
					t.Errorf("%s: got %s, want %s", file, got, rule.Name)
				}
				seen++
			}
		}
	}
	if seen == 0 {
		t.Error("no rule was compared")
	}
}

func TestOwnershipOfSecurityRules(t *testing.T) {
	for _, tt := range []struct {
		name     string
		priority int
		want     bool
	}{
		{"k8s-azure-lb_allow_IPv4_0", 500, true},
		{"k8s-azure-lb_deny-all_IPv4", 4095, true},
		{"k8s-azure-lb_allow_IPv4_0", 499, false},
		{"allow-ssh", 500, false},
	} {
		if got := names.OwnsSecurityRule(tt.name, tt.priority); got != tt.want {
			t.Errorf("%s at %d: got %t", tt.name, tt.priority, got)
		}
	}
}

func TestOwnershipByName(t *testing.T) {
	base := names.Base(uid)
	for name, want := range map[string]bool{
		base: true, strings.ToUpper(base) + "-TCP-80": true, "x" + base: false, base[:31]: false, "": false,
	} {
		if got := names.Owns(base, name); got != want {
			t.Errorf("%q: got %t", name, got)
		}
	}
	if names.Owns("", "a") {
		t.Error("a Service without uid owns nothing")
	}
}

func TestTagsThatListServices(t *testing.T) {
	tag := names.WithService("", "a/b")
	tag = names.WithService(tag, "c/d")
	tag = names.WithService(tag, "A/B")
	if tag != "a/b,c/d" || !names.HasService(tag, "c/d") {
		t.Errorf("got %q", tag)
	}
	if tag = names.WithoutService(tag, "A/b"); tag != "c/d" {
		t.Errorf("got %q", tag)
	}
	if tag = names.WithoutService(tag, "c/d"); tag != "" {
		t.Errorf("got %q", tag)
	}
	legacy := map[string]string{names.TagServiceLegacy: "old"}
	if got := names.Tag(legacy, names.TagService, names.TagServiceLegacy); got != "old" {
		t.Errorf("got %q", got)
	}
}

func TestRetagLeavesOwnershipAlone(t *testing.T) {
	have := map[string]string{"Team": "NET", "old": "1", "aks-x": "2", "k8s-azure-owner-service": "a/b"}
	want := map[string]string{"team": "net", "COST": "42", "K8s-Azure-Cluster-Name": "y"}
	set, gone := names.Retag(have, want, []string{"AKS-"})
	if !maps.Equal(set, map[string]string{"COST": "42"}) || !slices.Equal(gone, []string{"old"}) {
		t.Errorf("sets %v, takes away %v", set, gone)
	}
	have["team"] = "other" // its own case counts first
	set, gone = names.Retag(have, want, nil)
	if !maps.Equal(set, map[string]string{"COST": "42", "team": "net"}) || gone != nil {
		t.Errorf("sets %v, takes away %v", set, gone)
	}
}

// The legacy tags are plain words, which users may have for something else.
func TestLegacyTagsTellOnlyWhereNoNewerOneDoes(t *testing.T) {
	want := map[string]string{"service": "platform", "team": "web"}
	for name, tt := range map[string]struct{ have, want, set map[string]string }{
		"no address of ours":        {nil, want, want},
		"an old address":            {map[string]string{"Service": "shop/web"}, want, map[string]string{"team": "web"}},
		"a newer one":               {map[string]string{"service": "shop/web", "k8s-azure-service": "shop/web"}, want, want},
		"one that nobody overrides": {map[string]string{"service": "shop/web", "k8s-azure-service": "shop/web"}, nil, map[string]string{}},
	} {
		set, gone := names.Retag(tt.have, names.WithLegacy(tt.have, tt.want), []string{"aks-"})
		if diff := cmp.Diff(tt.set, set); diff != "" || len(gone) > 0 {
			t.Errorf("%s: gone %v, set (-want +got):\n%s", name, gone, diff)
		}
	}
}
