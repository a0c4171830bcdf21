// SPDX-License-Identifier: Apache-2.0

package azure

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/klog/v2"
	"k8s.io/utils/clock"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider/azure/arm"
)

// zonesAge is how old the zones of the region may be. They hardly ever change;
// the peer asks as often.
const zonesAge = 30 * time.Minute

// zones remembers the availability zones of a region.
type zones struct {
	mu   sync.Mutex
	list []string
	read time.Time // zero: never
}

// of are the zones, sorted; none where the region has none. While they cannot
// be read those of before count.
func (z *zones) of(ctx context.Context, client *arm.Client, c clock.PassiveClock, s *Settings) ([]string, error) {
	now := c.Now()
	before, age := z.known(now)
	if age != nil && *age < zonesAge {
		return before, nil
	}
	list, err := readZones(ctx, client, s)
	if err != nil && age != nil {
		klog.FromContext(ctx).Info("The zones of the region cannot be read, and those of before count", "age", *age, "err", err)
		return before, nil
	}
	if err != nil {
		return nil, err
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	z.list, z.read = list, now
	return list, nil
}

// known are the zones that were read last, and how long ago; nil for never.
func (z *zones) known(now time.Time) ([]string, *time.Duration) {
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.read.IsZero() {
		return nil, nil
	}
	age := now.Sub(z.read)
	return z.list, &age
}

func readZones(ctx context.Context, client *arm.Client, s *Settings) ([]string, error) {
	doc, err := client.Get(ctx, "/subscriptions/"+s.Subscription+"/providers/Microsoft.Compute", nil)
	if err != nil {
		return nil, err
	}
	list, err := zonesIn(doc, s.Location)
	if err != nil {
		return nil, &plan.Error{Kind: plan.Transient, Reason: ReasonUnreadableResource, Err: err}
	}
	return list, nil
}

// zonesIn reads the resource provider of machines. Regions have names for
// people there, such as East US.
func zonesIn(doc json.RawMessage, location string) ([]string, error) {
	var d struct {
		ResourceTypes []struct {
			ResourceType string
			ZoneMappings []struct {
				Location string
				Zones    []string
			}
		}
	}
	if err := json.Unmarshal(doc, &d); err != nil {
		return nil, fmt.Errorf("resource provider Microsoft.Compute: %w", err)
	}
	var out []string
	for _, t := range d.ResourceTypes {
		if !strings.EqualFold(t.ResourceType, "virtualMachines") {
			continue
		}
		for _, m := range t.ZoneMappings {
			if strings.EqualFold(strings.ReplaceAll(m.Location, " ", ""), strings.ReplaceAll(location, " ", "")) {
				out = append(out, m.Zones...)
			}
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}
