// SPDX-License-Identifier: Apache-2.0

package azure

import (
	"fmt"
	"strings"

	"github.com/fairlead/fairlead/test/bench/table"
	azuresim "github.com/fairlead/fairlead/test/cloud/azure"
	"github.com/fairlead/fairlead/test/cloud/sim"
)

// describe is a phase in words.
func (p *phase) describe() string {
	text := fmt.Sprintf("%s; writes: %s; reads: %s", table.Seconds(p.took), countsOf(p.counts.Writes), countsOf(p.counts.Reads))
	if n := p.counts.Pages; n > 0 {
		text += fmt.Sprintf(", and %d further pages", n)
	}
	if n := sim.Total(p.counts.Refused); n > 0 {
		text += fmt.Sprintf("; refused: %s", countsOf(p.counts.Refused))
	}
	return text
}

func countsOf(counts map[string]int) string { return table.Counts(counts, short) }

// short is the type in few letters.
func short(name string) string {
	words := map[string]string{
		azuresim.LoadBalancers: "LB", azuresim.SecurityGroups: "NSG", azuresim.PublicIPs: "PIP",
		azuresim.PrivateLinks: "PLS", azuresim.Interfaces: "NIC",
		azuresim.ScaleSets: "VMSS", azuresim.Instances: "VMSS VM", azuresim.Machines: "VM",
	}
	if word, ok := words[name]; ok {
		return word
	}
	if word := name[strings.LastIndexByte(name, '/')+1:]; word != "" {
		return word
	}
	return "zones" // of the provider itself
}
