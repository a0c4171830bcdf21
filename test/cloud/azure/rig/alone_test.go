// SPDX-License-Identifier: Apache-2.0

package rig_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	v1 "k8s.io/api/core/v1"

	azuresim "github.com/fairlead/fairlead/test/cloud/azure"
	"github.com/fairlead/fairlead/test/cloud/harness"
)

// many are n Services, of which change may spoil one.
func many(n, bad int, change func(*v1.Service)) []*v1.Service {
	services := make([]*v1.Service, n)
	for i := range services {
		services[i] = harness.NewService(fmt.Sprintf("web-%02d", i), 100+i, "TCP:80")
		if i == bad {
			change(services[i])
		}
	}
	return services
}

// ensureEach serves all at once, each once, and returns the errors by name.
func (w *world) ensureEach(t *testing.T, services []*v1.Service) map[string]error {
	t.Helper()
	errs := map[string]error{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, svc := range services {
		if err := w.Services.Update(svc); err != nil {
			t.Fatal(err)
		}
	}
	for _, svc := range services {
		wg.Go(func() {
			if err := w.Controller(t).Sync(t.Context(), svc); err != nil {
				mu.Lock()
				defer mu.Unlock()
				errs[svc.Name] = err
			}
		})
	}
	wg.Wait()
	return errs
}

const (
	badIndex = 17
	badName  = "web-17"
)

// othersServed checks that all but the bad one have an address, and it alone
// has an error that says so.
func (w *world) othersServed(t *testing.T, services []*v1.Service, errs map[string]error, sentence string) {
	t.Helper()
	for _, svc := range services {
		err, served := errs[svc.Name], len(w.Service(svc.Name).Status.LoadBalancer.Ingress) > 0
		switch {
		case svc.Name == badName && (err == nil || !strings.Contains(err.Error(), sentence)):
			t.Errorf("%s got %v, want %q", svc.Name, err, sentence)
		case svc.Name != badName && (err != nil || !served):
			t.Errorf("%s is not served: %v", svc.Name, err)
		}
	}
}

// A Service that cannot be served fails alone, with its own sentence, and holds
// nobody back.
func TestBadServiceFailsAlone(t *testing.T) {
	for name, tt := range map[string]struct {
		change   func(*v1.Service)
		sentence string
	}{
		"a public IP that is missing": {
			func(svc *v1.Service) { svc.Annotations[prefix+"azure-pip-name"] = "nowhere" },
			`names public IP "nowhere", which is not in resource group rig`,
		},
		"a value that is not allowed": {
			func(svc *v1.Service) { svc.Annotations[prefix+"azure-load-balancer-tcp-idle-timeout"] = "1000" },
			`azure-load-balancer-tcp-idle-timeout is "1000", but must be a whole number from 4 to 100`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := begun(t, "nodeIP")
			services := many(50, badIndex, tt.change)
			w.othersServed(t, services, w.ensureEach(t, services), tt.sentence)
			writes := w.sim.Counts().Writes
			if writes[azuresim.PublicIPs] != 49 || writes[azuresim.LoadBalancers] > 3 || writes[azuresim.SecurityGroups] > 3 {
				t.Errorf("it took %v", writes)
			}
		})
	}
}

// What Azure refuses because of one Service is halved until that one stands
// alone; the others are served, and once Azure takes it, it is served too.
func TestRefusedDocumentIsHalved(t *testing.T) {
	const balancers, groups = "/loadBalancers/", "/networkSecurityGroups/"
	for name, tt := range map[string]struct {
		kind     string
		status   int
		code     string
		sentence string
	}{
		"load balancer":                       {balancers, http.StatusBadRequest, "InvalidResourceReference", "Something in it is not allowed"},
		"security group":                      {groups, http.StatusBadRequest, "InvalidResourceReference", "Something in it is not allowed"},
		"a subnet that is full":               {balancers, http.StatusBadRequest, "SubnetIsFull", "Something in it is not allowed"},
		"an address that is in use":           {balancers, http.StatusBadRequest, "PrivateIPAddressIsAllocated", "Something in it is not allowed"},
		"a public IP that may not be joined":  {balancers, http.StatusForbidden, "LinkedAuthorizationFailed", "denied: "},
		"a security group over its own limit": {groups, http.StatusBadRequest, "SecurityRuleAddressPrefixCountLimitReached", "Something in it is not allowed"},
	} {
		t.Run(name, func(t *testing.T) {
			w := begun(t, "nodeIP")
			var mu sync.Mutex
			address := "none yet"
			var refused atomic.Int32
			refuses := func(path, body string) bool {
				if strings.Contains(path, "/publicIPAddresses/kubernetes-a00000117") {
					return false
				}
				bad := "a0000011700004000800000000000000-TCP"
				if tt.kind == groups {
					mu.Lock()
					if address == "none yet" {
						if doc, ok := w.sim.Get(w.sim.ID("rig", azuresim.PublicIPs, "kubernetes-a0000011700004000800000000000000")); ok {
							address = ipOf(string(doc))
						}
					}
					bad = `"` + address + `"`
					mu.Unlock()
				}
				is := strings.Contains(path, tt.kind) && strings.Contains(body, bad)
				if is {
					refused.Add(1)
				}
				return is
			}
			w.refuses.Store(&refusal{is: refuses, status: tt.status, code: tt.code})
			services := many(50, -1, nil)
			w.othersServed(t, services, w.ensureEach(t, services), tt.sentence)
			t.Logf("%d writes were refused, %v done", refused.Load(), w.sim.Counts().Writes)
			if n := refused.Load(); n == 0 || n > 14 {
				t.Errorf("%d writes were refused, want 14 at most: twice the halvings of 50", n)
			}
			w.refuses.Store(nil)
			w.Do(t, annotate(badName, "azure-load-balancer-tcp-idle-timeout", "9"))
			if len(w.Service(badName).Status.LoadBalancer.Ingress) == 0 {
				t.Error("the Service is not served when Azure takes it")
			}
		})
	}
}

// ipOf is the address in a public IP's document.
func ipOf(doc string) string {
	_, rest, _ := strings.Cut(doc, `"ipAddress":"`)
	ip, _, _ := strings.Cut(rest, `"`)
	return ip
}
