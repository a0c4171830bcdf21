// SPDX-License-Identifier: Apache-2.0

package instances

import (
	"context"
	"slices"
	"sync"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"k8s.io/utils/clock"

	"github.com/fairlead/fairlead/pkg/provider/aws/api"
)

// zoneRetry is how often the zones are read for one that is not among them.
const zoneRetry = 10 * time.Minute

// zone is an availability zone. What it is never changes.
type zone struct{ id, kind string }

// zones knows the region's availability zones.
type zones struct {
	client *api.Client
	clock  clock.PassiveClock
	turn   chan struct{} // held by the one who reads

	mu     sync.Mutex
	byName map[string]zone // nil: not read; it is replaced, never changed
	read   time.Time
}

func newZones(client *api.Client, c clock.PassiveClock) *zones {
	return &zones{client: client, clock: c, turn: make(chan struct{}, 1)}
}

// with are the zones by their names, the named ones among them unless AWS does
// not say.
func (z *zones) with(ctx context.Context, list ...string) (map[string]zone, error) {
	if all, ok := z.known(list); ok {
		return all, nil
	}
	select {
	case z.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-z.turn }()
	if all, ok := z.known(list); ok { // somebody else has read meanwhile
		return all, nil
	}
	page, err := api.Call(ctx, z.client.EC2.DescribeAvailabilityZones, &ec2.DescribeAvailabilityZonesInput{})
	if err != nil {
		return nil, err
	}
	all := map[string]zone{}
	for i := range page.AvailabilityZones {
		x := &page.AvailabilityZones[i]
		all[awssdk.ToString(x.ZoneName)] = zone{id: awssdk.ToString(x.ZoneId), kind: awssdk.ToString(x.ZoneType)}
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	z.byName, z.read = all, z.clock.Now()
	return all, nil
}

// known are the zones; false when they must be read.
func (z *zones) known(list []string) (map[string]zone, bool) {
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.byName == nil || z.clock.Since(z.read) < zoneRetry {
		return z.byName, z.byName != nil
	}
	return z.byName, !slices.ContainsFunc(list, func(name string) bool {
		_, ok := z.byName[name]
		return !ok
	})
}

// ZoneTypes are the types of the region's availability zones by their names.
// Where one of the list is not among them they are read anew, but seldom.
func (r *Reader) ZoneTypes(ctx context.Context, list []string) (map[string]string, error) {
	all, err := r.zones.with(ctx, list...)
	if err != nil {
		return nil, err
	}
	out := map[string]string{}
	for name, z := range all {
		out[name] = z.kind
	}
	return out, nil
}
