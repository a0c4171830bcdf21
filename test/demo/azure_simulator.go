// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	azuresim "github.com/fairlead/fairlead/test/cloud/azure"
	"github.com/fairlead/fairlead/test/cloud/azure/votefront"
)

const azureSimulator = "azuresim"

// startSimulator starts it with the site of votefront.
func (d *azure) startSimulator(ctx context.Context, nodes int) error {
	seed := filepath.Join(d.dir, "seed.json")
	if err := writeSeed(seed, nodes); err != nil {
		return err
	}
	return d.simulate(ctx, azureSimulator, append([]string{"--seed=" + seed, "--max-retry-after=1s"}, latencies()...)...)
}

// latencies are some of Azure's, shortened.
func latencies() []string {
	return []string{"--load-balancer-put=600ms", "--security-group-put=300ms", "--public-ip-put=300ms", "--write=150ms", "--read=20ms"}
}

func writeSeed(file string, nodes int) error {
	cloud := azuresim.New(azuresim.Options{})
	if err := votefront.Prepare(cloud, nodes); err != nil {
		return err
	}
	data, err := json.Marshal(cloud.State())
	if err != nil {
		return err
	}
	return os.WriteFile(file, data, 0o600)
}

// scale does what the autoscaler does.
func (d *azure) scale(ctx context.Context, nodes int) error {
	set := azuresim.New(azuresim.Options{}).ID(votefront.Group, azuresim.ScaleSets, votefront.ScaleSet)
	query := url.Values{"set": {set}, "capacity": {fmt.Sprint(nodes)}}
	return d.sim.ask(ctx, http.MethodPost, "scale?"+query.Encode(), nil)
}

// balancing is what votefront.Balancing says of the simulator's resources.
func (d *azure) balancing(ctx context.Context) (string, error) {
	var all []json.RawMessage
	if err := d.sim.ask(ctx, http.MethodGet, "resources", &all); err != nil {
		return "", err
	}
	return votefront.Balancing(all)
}

// azureLine is a write in a few words.
func azureLine(w azuresim.Call) seen {
	_, name, _ := strings.Cut(w.ID, "/providers/Microsoft.")
	_, name, _ = strings.Cut(name, "/")
	text := fmt.Sprintf("%-6s %s: %d %s", w.Method, name, w.Status, strings.ToLower(http.StatusText(w.Status)))
	return seen{number: w.Seq, what: w.Type, status: w.Status, took: w.Took, line: text}
}
