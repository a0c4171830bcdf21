// SPDX-License-Identifier: Apache-2.0

package aws_test

import (
	"fmt"
	"testing"

	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/aws"
)

// BenchmarkCompute is a resync of 200 Services on 500 nodes, without security
// groups of the load balancers and with them.
func BenchmarkCompute(b *testing.B) {
	b.Run("no groups", func(b *testing.B) { benchmarkCompute(b, newSite(b)) })
	b.Run("managed groups", func(b *testing.B) {
		s := newSite(b)
		s.settings.NetworkGroups = aws.ManagedGroups
		benchmarkCompute(b, s)
	})
}

func benchmarkCompute(b *testing.B, s *site) {
	b.Helper()
	s.settings.RuleLimit = 1000
	for i := range 497 {
		n := s.nodes[0].DeepCopy()
		id := fmt.Sprintf("i-%04d", i)
		n.Name, n.Spec.ProviderID = fmt.Sprint("n", i), "aws:///us-east-1a/"+id
		s.nodes = append(s.nodes, n)
		s.observed.Instances[id] = &aws.Instance{ID: id, VPC: s.settings.VPC, Groups: []string{nodesGroup}, State: ec2types.InstanceStateNameRunning}
	}
	for i := range 200 {
		s.service(fmt.Sprint("web", i))
	}
	batch := s.all(provider.Serve, provider.Edit)
	r := s.compute(batch)
	known := aws.Known{}
	p, err := plan.New(r.Steps)
	if err != nil {
		b.Fatal(err)
	}
	for _, st := range p.Steps {
		for _, c := range r.Writes[st.Target].Calls {
			call, err := aws.Resolve(c, known)
			if err != nil {
				b.Fatal(err)
			}
			out, err := s.answer(call)
			if err != nil {
				b.Fatal(err)
			}
			if made := s.observed.Learn(call, out); made != "" {
				known[st.Target] = made
			}
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		if r := s.compute(batch); len(r.Steps) > 0 {
			b.Fatal(r.Steps)
		}
	}
}
