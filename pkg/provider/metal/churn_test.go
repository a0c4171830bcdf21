// SPDX-License-Identifier: Apache-2.0

package metal

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
)

// TestAddressesOverRestartsUnderChurn creates and deletes Services while the
// controller is restarted 20 times, at any moment between giving an address
// and the status that shows it. No address that a status has shown may change,
// nor may two Services ever show one.
func TestAddressesOverRestartsUnderChurn(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			config := poolsConfig("p=192.0.2.0/27", "q=198.51.100.0/28")
			ch := churn{
				cluster: newCluster(t, config),
				rng:     rand.New(rand.NewPCG(seed, 7)),
				shown:   map[plan.Key]string{},
			}
			for restart := range 20 {
				for range 10 {
					ch.step()
				}
				ch.restart(config)
				if restart%2 == 0 {
					ch.settle(provider.Resync)
				}
				ch.check()
			}
		})
	}
}

type churn struct {
	*cluster

	rng   *rand.Rand
	shown map[plan.Key]string // the address that each status showed first
	made  int
}

// step changes some Services, and does a pass over them whose statuses are
// all written, some, or none.
func (c *churn) step() {
	c.Helper()
	var names []string
	for range 1 + c.rng.IntN(5) {
		c.made++
		names = append(names, c.service(fmt.Sprint("s", c.made)).Name)
	}
	for key := range c.seen {
		if c.rng.IntN(4) == 0 {
			c.edit(key.Name, deleted)
			names = append(names, key.Name)
		}
	}
	out := c.pass(provider.Edit, names...)
	for key := range out.status {
		if c.rng.IntN(3) == 0 {
			delete(out.status, key) // the process dies before it writes this one
		}
	}
	c.publish(out)
	c.check()
}

// check looks at what the statuses show.
func (c *churn) check() {
	c.Helper()
	holders := map[string]plan.Key{}
	for key, svc := range c.seen {
		ips := ipsOf(&svc.Status.LoadBalancer)
		if ips == "" || svc.DeletionTimestamp != nil {
			continue
		}
		if other, twice := holders[ips]; twice {
			c.Fatalf("%s and %s both have %s", key, other, ips)
		}
		holders[ips] = key
		if first, ok := c.shown[key]; ok && first != ips {
			c.Fatalf("%s changed from %s to %s", key, first, ips)
		}
		c.shown[key] = ips
		if strings.HasSuffix(ips, ".0") {
			c.Fatalf("%s got the network address %s", key, ips)
		}
	}
}

// TestPassesBesideReaders is for the race detector: metrics and Find are asked
// while passes run.
func TestPassesBesideReaders(t *testing.T) {
	c := newCluster(t, poolsConfig("p=192.0.2.0/24"))
	svc := c.service("a")
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
				c.provider.state()
				_, _, _ = c.provider.Find(t.Context(), svc)
			}
		}
	}()
	for i := range 50 {
		c.service(fmt.Sprint("s", i), func(s *v1.Service) { s.Spec.Ports[0].Port = 81 })
		c.pass(provider.Edit)
		c.provider.Update(parseConfig(t, poolsConfig("p=192.0.2.0/24", fmt.Sprintf("q=198.51.100.%d/32", i))))
	}
	close(stop)
	<-done
}
