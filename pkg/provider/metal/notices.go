// SPDX-License-Identifier: Apache-2.0

package metal

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/fairlead/fairlead/pkg/ipam"
	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
)

// The reasons of notices.
const (
	// ReasonAllocated: the Service was given an address.
	ReasonAllocated = "AddressAllocated"
	// ReasonChanged: the Service was given another address, because no pool
	// holds the one that it had.
	ReasonChanged = "AddressChanged"
	// ReasonContested: after an edit, younger Services may not have the
	// Service's address with it any more.
	ReasonContested = "AddressContested"
)

// notices are what the user is told: one for an address given, one for a
// conflict that an edit made, and nothing when all stays as it was.
func notices(it *provider.Item, as *ipam.Assignment) []provider.Notice {
	var out []provider.Notice
	if len(as.Added) > 0 {
		out = append(out, given(as))
	}
	if len(as.Contested) > 0 && it.Cause == provider.Edit {
		out = append(out, provider.Notice{
			Reason:  ReasonContested,
			Warning: true,
			Message: fmt.Sprintf("%s also has an address of this Service, but may not share it any more; "+
				"undo the edit, or ask for another address", keyTexts(as.Contested)),
		})
	}
	return out
}

// given says which addresses a Service got from where, and in place of what.
func given(as *ipam.Assignment) provider.Notice {
	n := provider.Notice{Reason: ReasonAllocated}
	var texts []string
	for i, a := range as.Addresses {
		if slices.Contains(as.Added, a) {
			texts = append(texts, fmt.Sprintf("%s from pool %s", a, as.Pools[i]))
		}
	}
	n.Message = strings.Join(texts, ", ")
	switch {
	case len(as.Homeless) > 0:
		n.Reason, n.Warning = ReasonChanged, true
		n.Message += fmt.Sprintf(" instead of %s, which no pool holds any more", addrTexts(as.Homeless))
	case len(as.Released) > 0:
		n.Message += " instead of " + addrTexts(as.Released)
	}
	if as.Missing != nil {
		n.Message += "; " + as.Missing.Error()
	}
	return n
}

func addrTexts(addrs []netip.Addr) string {
	texts := make([]string, len(addrs))
	for i, a := range addrs {
		texts[i] = a.String()
	}
	return strings.Join(texts, ", ")
}

func keyTexts(keys []plan.Key) string {
	texts := make([]string, len(keys))
	for i, k := range keys {
		texts[i] = k.String()
	}
	return strings.Join(texts, ", ")
}
