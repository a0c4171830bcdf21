// SPDX-License-Identifier: Apache-2.0

package ipam

import (
	"fmt"
	"testing"

	"github.com/fairlead/fairlead/pkg/intent"
)

// thousand are requests of new Services.
func thousand(edits ...func(*Request)) []Request {
	out := make([]Request, 1000)
	for i := range out {
		out[i] = ask(fmt.Sprint("svc-", i), edits...)
	}
	return out
}

func BenchmarkThousandNewServices(b *testing.B) {
	for _, c := range []struct {
		name string
		pool string
		asks []Request
	}{
		{"of a v4 /16", "10.0.0.0/16", thousand()},
		{"of a v4 /8", "10.0.0.0/8", thousand()},
		{"of a v6 /64", "2001:db8::/64", thousand(families(intent.SingleStack, intent.V6))},
		{"with one key and port", "10.0.0.0/16", thousand(sharingWith(shares("k", 80)))},
		{"into a full pool", "10.0.0.1-10.0.0.1", thousand()},
	} {
		s := stateOf(nil, poolOf("p", c.pool))
		b.Run(c.name, func(b *testing.B) {
			for b.Loop() {
				Allocate(s, nil, c.asks)
			}
		})
	}
}

func BenchmarkOneNewServiceBesideOthers(b *testing.B) {
	for _, n := range []int{1000, 60000} {
		s := stateOf(nil, poolOf("p", "10.0.0.0/15"))
		a := addrsOf("10.0.0.1")[0]
		for i := range n {
			s.Holders = append(s.Holders, holds(fmt.Sprint("svc-", i), i, Sharing{}, a.String()))
			a = a.Next()
		}
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				Allocate(s, nil, []Request{ask("new")})
			}
		})
	}
}
