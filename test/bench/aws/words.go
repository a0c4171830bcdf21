// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"fmt"
	"os"
	"strings"

	"github.com/fairlead/fairlead/test/bench/table"
	awssim "github.com/fairlead/fairlead/test/cloud/aws"
	"github.com/fairlead/fairlead/test/cloud/sim"
)

// describe is a phase in words.
func (p *phase) describe() string {
	text := fmt.Sprintf("%s; writes: %s; reads: %s", table.Seconds(p.took), table.Counts(p.counts.Writes, short), table.Counts(p.counts.Reads, short))
	if n := p.counts.Pages; n > 0 {
		text += fmt.Sprintf(", and %d further pages", n)
	}
	if n := p.refused(); n > 0 {
		text += "; refused: " + table.Counts(p.counts.Refused, short)
	}
	if n := sim.Total(p.counts.Failed); n > 0 {
		text += "; other errors: " + table.Counts(p.counts.Failed, short)
	}
	return text
}

// each is how many calls there were for each of n Services.
func (p *phase) each(n int) float64 { return float64(p.writes()+p.reads()) / float64(n) }

// short is the API in few letters.
func short(api string) string {
	service, action, _ := strings.Cut(api, ".")
	if service == string(awssim.ELB) {
		action = "classic " + action
	}
	return strings.NewReplacer(
		"LoadBalancers", "LBs", "LoadBalancer", "LB", "TargetGroups", "TGs", "TargetGroup", "TG", "SecurityGroups", "SGs", "SecurityGroup", "SG",
		"Attributes", "Attr", "Instances", "Inst",
	).Replace(action)
}

// load is how many processes wait for the processors now, on average over a
// minute: proc_loadavg(5). Times are worth little when it is high.
func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	now, _, _ := strings.Cut(string(text), " ")
	return now
}
