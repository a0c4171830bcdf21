// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"go4.org/netipx"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/plan"
)

// poolOf is an open pool of the blocks, each a prefix or FROM-TO.
func poolOf(name string, blocks ...string) cloudconfig.Pool {
	p := cloudconfig.Pool{Name: name, AutoAssign: true}
	for _, b := range blocks {
		if strings.Contains(b, "/") {
			p.Blocks = append(p.Blocks, cloudconfig.Block{Range: netipx.RangeOfPrefix(netip.MustParsePrefix(b)), CIDR: true})
			continue
		}
		p.Blocks = append(p.Blocks, cloudconfig.Block{Range: netipx.MustParseIPRange(b)})
	}
	return p
}

// with returns the pool after the edits.
func with(p cloudconfig.Pool, edits ...func(*cloudconfig.Pool)) cloudconfig.Pool {
	for _, e := range edits {
		e(&p)
	}
	return p
}

func byHand(p *cloudconfig.Pool)     { p.AutoAssign = false }
func avoidBuggy(p *cloudconfig.Pool) { p.AvoidBuggyIPs = true }
func across(p *cloudconfig.Pool)     { p.ShareAcrossNamespaces = true }

func priority(n int) func(*cloudconfig.Pool) {
	return func(p *cloudconfig.Pool) { p.Priority = n }
}

func namespaces(names ...string) func(*cloudconfig.Pool) {
	return func(p *cloudconfig.Pool) { p.Namespaces = names }
}

func serviceLabels(set labels.Set) func(*cloudconfig.Pool) {
	return func(p *cloudconfig.Pool) {
		p.ServiceSelectors = append(p.ServiceSelectors, labels.SelectorFromSet(set))
	}
}

func namespaceLabels(set labels.Set) func(*cloudconfig.Pool) {
	return func(p *cloudconfig.Pool) {
		p.NamespaceSelectors = append(p.NamespaceSelectors, labels.SelectorFromSet(set))
	}
}

func keyFor(name string) plan.Key {
	if ns, n, ok := strings.Cut(name, "/"); ok {
		return plan.Key{Namespace: ns, Name: n}
	}
	return plan.Key{Namespace: "default", Name: name}
}

func addrsOf(texts ...string) []netip.Addr {
	var out []netip.Addr
	for _, t := range texts {
		out = append(out, netip.MustParseAddr(t))
	}
	return out
}

// born is the creation time of the n-th Service.
func born(n int) time.Time { return time.Unix(int64(n), 0) }

// ask is a request of a Service with IPv4 alone.
func ask(name string, edits ...func(*Request)) Request {
	r := Request{Key: keyFor(name), Families: []intent.Family{intent.V4}, Policy: intent.SingleStack}
	for _, e := range edits {
		e(&r)
	}
	return r
}

func forAddrs(texts ...string) func(*Request) {
	return func(r *Request) { r.Addresses = addrsOf(texts...) }
}

func forPool(name string) func(*Request) { return func(r *Request) { r.Pool = name } }

func bornAt(n int) func(*Request) { return func(r *Request) { r.Created = born(n) } }

func families(p intent.FamilyPolicy, f ...intent.Family) func(*Request) {
	return func(r *Request) { r.Policy, r.Families = p, f }
}

func withLabels(set labels.Set) func(*Request) { return func(r *Request) { r.Labels = set } }

func sharingWith(s Sharing) func(*Request) { return func(r *Request) { r.Sharing = s } }

// shares is a Service of policy Cluster with the key and TCP ports.
func shares(key string, ports ...uint16) Sharing {
	var ps []Port
	for _, p := range ports {
		ps = append(ps, Port{Proto: intent.TCP, Port: p})
	}
	return NewSharing(key, ps, intent.Cluster, nil)
}

func sharesLocal(key string, selector labels.Set, port uint16) Sharing {
	return NewSharing(key, []Port{{Proto: intent.TCP, Port: port}}, intent.Local, selector)
}

func holds(name string, age int, s Sharing, addrs ...string) Holder {
	return Holder{Key: keyFor(name), Created: born(age), Addresses: addrsOf(addrs...), Sharing: s}
}

// stateOf is a state with complete pools and no history.
func stateOf(holders []Holder, pools ...cloudconfig.Pool) State {
	return State{Pools: NewPools(pools, Complete), Holders: holders}
}

// answerText is an answer on one line.
func answerText(a Answer) string {
	if a.Err != nil {
		e, ok := errors.AsType[*plan.Error](a.Err)
		if !ok {
			return "bad error type: " + a.Err.Error()
		}
		return fmt.Sprintf("%s: %s", e.Reason, e.Error())
	}
	var words []string
	for i, addr := range a.Addresses {
		words = append(words, addr.String()+"@"+a.Pools[i])
	}
	return strings.Join(words, " ")
}

func wantAnswers(t *testing.T, got []Answer, want ...string) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("got %d answers, want %d", len(got), len(want))
	}
	for i := range got {
		if text := answerText(got[i]); text != want[i] {
			t.Errorf("answer %d:\n got %s\nwant %s", i, text, want[i])
		}
	}
}
