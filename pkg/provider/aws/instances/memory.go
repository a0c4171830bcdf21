// SPDX-License-Identifier: Apache-2.0

package instances

import (
	"context"
	"sync"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"k8s.io/utils/clock"

	"github.com/fairlead/fairlead/pkg/provider/aws/api"
)

// missing remembers, for a moment, what was asked for by itself and is not
// there.
type missing struct {
	clock clock.PassiveClock
	mu    sync.Mutex
	at    map[string]time.Time
}

func newMissing(c clock.PassiveClock) *missing { return &missing{clock: c, at: map[string]time.Time{}} }

func (m *missing) lately(id string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	at, ok := m.at[id]
	return ok && m.clock.Since(at) < missAge
}

func (m *missing) note(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.clock.Now()
	for k, at := range m.at {
		if now.Sub(at) >= missAge {
			delete(m.at, k)
		}
	}
	m.at[id] = now
}

// denial remembers that calls are denied, which are not made again for a while.
type denial struct {
	clock clock.PassiveClock
	mu    sync.Mutex
	at    time.Time
}

func (d *denial) lately(period time.Duration) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return !d.at.IsZero() && d.clock.Since(d.at) < period
}

func (d *denial) note() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.at = d.clock.Now()
}

// zoneRetry is how often the zones are read for one that is not among them.
const zoneRetry = 10 * time.Minute

// zones knows the ids of availability zones, which never change.
type zones struct {
	client *api.Client
	clock  clock.PassiveClock
	turn   chan struct{} // held by the one who reads

	mu   sync.Mutex
	ids  map[string]string // by name; nil: not read
	read time.Time
}

func newZones(client *api.Client, c clock.PassiveClock) *zones {
	return &zones{client: client, clock: c, turn: make(chan struct{}, 1)}
}

// id is the id of a zone; empty when AWS does not say.
func (z *zones) id(ctx context.Context, name string) (string, error) {
	if id, ok := z.known(name); ok {
		return id, nil
	}
	select {
	case z.turn <- struct{}{}:
	case <-ctx.Done():
		return "", ctx.Err()
	}
	defer func() { <-z.turn }()
	if id, ok := z.known(name); ok { // somebody else has read meanwhile
		return id, nil
	}
	page, err := api.Call(ctx, z.client.EC2.DescribeAvailabilityZones, &ec2.DescribeAvailabilityZonesInput{})
	if err != nil {
		return "", err
	}
	ids := map[string]string{}
	for i := range page.AvailabilityZones {
		ids[awssdk.ToString(page.AvailabilityZones[i].ZoneName)] = awssdk.ToString(page.AvailabilityZones[i].ZoneId)
	}
	z.mu.Lock()
	defer z.mu.Unlock()
	z.ids, z.read = ids, z.clock.Now()
	return ids[name], nil
}

// known is the id of a zone; false when it must be read.
func (z *zones) known(name string) (string, bool) {
	z.mu.Lock()
	defer z.mu.Unlock()
	id, ok := z.ids[name]
	return id, ok || (z.ids != nil && z.clock.Since(z.read) < zoneRetry)
}
