// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"golang.org/x/sync/errgroup"
	"k8s.io/utils/clock"

	"github.com/fairlead/fairlead/pkg/provider/aws/api"
)

// valuesPerFilter is how many values a filter of EC2 takes: DescribeInstances.
const valuesPerFilter = 200

// machines remember the instances of nodes.
type machines struct {
	client *api.Client
	clock  clock.PassiveClock

	mu    sync.Mutex
	known map[string]*Instance
	read  map[string]time.Time // when an id was asked for, whether it is known or not
}

func newMachines(c *api.Client, clk clock.PassiveClock) *machines {
	return &machines{client: c, clock: clk, known: map[string]*Instance{}, read: map[string]time.Time{}}
}

// of are the instances with the ids, those read before notBefore anew. What AWS
// does not know is missing: a filter, unlike a list of ids, takes what is not
// there.
func (m *machines) of(ctx context.Context, ids []string, notBefore time.Time) (map[string]*Instance, error) {
	now := m.clock.Now()
	m.mu.Lock()
	var stale []string
	for _, id := range ids {
		if at, ok := m.read[id]; !ok || at.Before(notBefore) {
			stale = append(stale, id)
		}
	}
	m.mu.Unlock()
	slices.Sort(stale)
	g, gctx := errgroup.WithContext(ctx)
	found := make([][]*Instance, (len(stale)+valuesPerFilter-1)/valuesPerFilter)
	chunks := slices.Collect(slices.Chunk(stale, valuesPerFilter))
	for i, chunk := range chunks {
		g.Go(func() (err error) {
			found[i], err = m.describe(gctx, chunk)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, chunk := range chunks {
		for _, id := range chunk {
			delete(m.known, id)
			m.read[id] = now
		}
		for _, x := range found[i] {
			m.known[x.ID] = x
		}
	}
	m.forget(ids)
	return maps.Clone(m.known), nil
}

// forget drops what is no node's any more.
func (m *machines) forget(ids []string) {
	wanted := make(map[string]bool, len(ids))
	for _, id := range ids {
		wanted[id] = true
	}
	maps.DeleteFunc(m.known, func(id string, _ *Instance) bool { return !wanted[id] })
	maps.DeleteFunc(m.read, func(id string, _ time.Time) bool { return !wanted[id] })
}

func (m *machines) describe(ctx context.Context, ids []string) ([]*Instance, error) {
	in := &ec2.DescribeInstancesInput{
		Filters:    []ec2types.Filter{{Name: awssdk.String("instance-id"), Values: ids}},
		MaxResults: awssdk.Int32(pageSizeEC2),
	}
	var out []*Instance
	for {
		page, err := api.Call(ctx, m.client.EC2.DescribeInstances, in)
		if err != nil {
			return nil, err
		}
		for i := range page.Reservations {
			for j := range page.Reservations[i].Instances {
				out = append(out, instanceOf(&page.Reservations[i].Instances[j]))
			}
		}
		if in.NextToken = page.NextToken; awssdk.ToString(in.NextToken) == "" {
			return out, nil
		}
	}
}

func instanceOf(x *ec2types.Instance) *Instance {
	out := &Instance{ID: awssdk.ToString(x.InstanceId), VPC: awssdk.ToString(x.VpcId)}
	if x.Placement != nil {
		out.Zone = awssdk.ToString(x.Placement.AvailabilityZone)
	}
	if x.State != nil {
		out.State = x.State.Name
	}
	for _, g := range x.SecurityGroups {
		out.Groups = append(out.Groups, awssdk.ToString(g.GroupId))
	}
	return out
}
