// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	awssim "github.com/fairlead/fairlead/test/cloud/aws"
	"github.com/fairlead/fairlead/test/cloud/aws/web"
)

const awsSimulator = "awssim"

// startSimulator starts it with a new site, and some of AWS' latencies,
// shortened.
func (d *aws) startSimulator(ctx context.Context, nodes int) error {
	return d.simulate(ctx, awsSimulator, fmt.Sprintf("--nodes=%d", nodes), "--cluster="+web.ClusterName,
		"--create-load-balancer=600ms", "--register=150ms", "--write=100ms", "--read=20ms")
}

func (d *aws) writeConfig(ctx context.Context) error {
	var site awssim.Site
	if err := d.sim.ask(ctx, http.MethodGet, "site", &site); err != nil {
		return err
	}
	d.environment = web.Environment(d.sim.url)
	return d.configure("cloud.conf", web.CloudConfig(&site))
}

func (d *aws) startController(ctx context.Context) error {
	return d.manage(ctx, "--cloud-provider=aws", "--configure-cloud-routes=false")
}

// state is what there is in the cloud.
func (d *aws) state(ctx context.Context) ([]byte, error) {
	var text json.RawMessage
	err := d.sim.ask(ctx, http.MethodGet, "state", &text)
	return text, err
}

// machines are the instances, by their addresses.
func (d *aws) machines(ctx context.Context) ([]web.Machine, error) {
	state, err := d.state(ctx)
	if err != nil {
		return nil, err
	}
	return web.Machines(state)
}

// launch does what the autoscaler does.
func (d *aws) launch(ctx context.Context) (*web.Machine, error) {
	var ids []string
	if err := d.sim.ask(ctx, http.MethodPost, "launch?n=1", &ids); err != nil {
		return nil, err
	}
	machines, err := d.machines(ctx)
	for i := range machines {
		if machines[i].ID == ids[0] {
			return &machines[i], nil
		}
	}
	return nil, errors.Join(fmt.Errorf("instance %s is not there", ids[0]), err)
}

// balancing is what web.Balancing says of the simulator's state.
func (d *aws) balancing(ctx context.Context) (string, error) {
	state, err := d.state(ctx)
	if err != nil {
		return "", err
	}
	return web.Balancing(state)
}

// awsLine is a write in a few words.
func awsLine(w awssim.Call) seen {
	name := ""
	for _, key := range []string{"LoadBalancerName", "Name", "GroupName", "GroupId", "TargetGroupArn", "LoadBalancerArn", "ListenerArn"} {
		if value := w.Form.Get(key); value != "" {
			_, short, long := strings.Cut(value, ":targetgroup/")
			if long {
				value, _, _ = strings.Cut(short, "/")
			}
			name = " " + strings.TrimPrefix(value[strings.LastIndexByte(value, ':')+1:], "loadbalancer/net/")
			break
		}
	}
	code := w.Code
	if code == "" {
		code = strings.ToLower(http.StatusText(w.Status))
	}
	line := fmt.Sprintf("%s%s: %d %s", w.API(), name, w.Status, code)
	return seen{number: w.Seq, what: w.API(), status: w.Status, took: w.Took, line: line}
}
