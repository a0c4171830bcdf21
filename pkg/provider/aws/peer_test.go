// SPDX-License-Identifier: Apache-2.0

package aws_test

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	v1 "k8s.io/api/core/v1"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/provider/aws"
)

// peer is a model of cloud-provider-aws: what it leaves in AWS after it served
// and deleted Services, one after the other, with what it forgets on the way. It
// knows nothing of how the provider does that.
type peer struct {
	*site
	keys map[string]string // of cloud.conf
}

// newPeer is the site with a cloud.conf, of which keys are those beside the
// site's own.
func newPeer(t testing.TB, keys map[string]string) *peer {
	t.Helper()
	p := &peer{site: newSite(t)}
	p.configure(t, keys)
	return p
}

// configure gives both the peer and us another cloud.conf.
func (p *peer) configure(t testing.TB, keys map[string]string) {
	t.Helper()
	p.keys = map[string]string{"Zone": "us-east-1a", "VPC": p.settings.VPC, "SubnetID": p.settings.Subnet, "KubernetesClusterID": "rig"}
	maps.Copy(p.keys, keys)
	file := "[Global]\n"
	for _, key := range slices.Sorted(maps.Keys(p.keys)) {
		file += fmt.Sprintf("%s = %q\n", key, p.keys[key])
	}
	config, err := cloudconfig.Parse([]byte(file))
	if err != nil {
		t.Fatal(err)
	}
	p.settings = *aws.NewSettings(config.AWS, "rig", "us-east-1", aws.Self{})
	p.settings.Registry = intent.Annotations()
}

// ensure serves a Service. The peer takes a type that it does not know for a
// classic one.
func (p *peer) ensure(svc *v1.Service) {
	if svc.Annotations[annotation+"type"] == "nlb" {
		p.ensureNetwork(svc)
	} else {
		p.ensureClassic(svc)
	}
}

func (p *peer) delete(svc *v1.Service) {
	if svc.Annotations[annotation+"type"] == "nlb" {
		p.deleteNetwork(svc)
	} else {
		p.deleteClassic(svc)
	}
}

func baseName(svc *v1.Service) string {
	return ("a" + strings.ReplaceAll(string(svc.UID), "-", ""))[:32]
}

// shortName is a name of the form that load balancers' groups and target groups
// have.
func shortName(svc *v1.Service, hash string) string {
	letters := func(text string) string {
		return strings.Map(func(r rune) rune {
			if r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
				return r
			}
			return -1
		}, text)
	}
	return fmt.Sprintf("k8s-%.8s-%.8s-%.10s", letters(svc.Namespace), letters(svc.Name), hash)
}

// word is an annotation without its prefix.
func word(svc *v1.Service, name string) string { return svc.Annotations[annotation+name] }

// number is an annotation, or what counts without it.
func number(svc *v1.Service, name string, standard int32) int32 {
	if text := word(svc, name); text != "" {
		n, err := strconv.ParseInt(text, 10, 32)
		if err != nil {
			panic(err)
		}
		return int32(n)
	}
	return standard
}

func on(svc *v1.Service, name string) bool {
	yes, err := strconv.ParseBool(word(svc, name))
	return err == nil && yes
}

// trimmed is a list in an annotation.
func trimmed(svc *v1.Service, name string) []string {
	var out []string
	for item := range strings.SplitSeq(word(svc, name), ",") {
		if item = strings.TrimSpace(item); item != "" {
			out = append(out, item)
		}
	}
	return out
}

// pairsOf are the pairs of an annotation; of several = the second part counts.
func pairsOf(svc *v1.Service, name string) map[string]string {
	out := map[string]string{}
	for item := range strings.SplitSeq(word(svc, name), ",") {
		parts := strings.Split(strings.TrimSpace(item), "=")
		if len(parts) > 1 {
			out[parts[0]] = parts[1]
		} else if parts[0] != "" {
			out[parts[0]] = ""
		}
	}
	return out
}

func portsServed(svc *v1.Service) []v1.ServicePort {
	return slices.DeleteFunc(slices.Clone(svc.Spec.Ports), func(p v1.ServicePort) bool { return p.NodePort == 0 })
}

// tlsAt reports whether a port has TLS. Items of the list are not trimmed.
func tlsAt(svc *v1.Service, number int32, name string) bool {
	list := word(svc, "ssl-ports")
	if word(svc, "ssl-cert") == "" {
		return false
	}
	return list == "" || list == "*" || slices.ContainsFunc(strings.Split(list, ","), func(item string) bool {
		return item == name || item == strconv.Itoa(int(number))
	})
}

// clientsOf are the ranges that may connect, without bits of hosts.
func clientsOf(svc *v1.Service) []string {
	list := svc.Spec.LoadBalancerSourceRanges
	if len(list) == 0 {
		if text := strings.TrimSpace(svc.Annotations["service.beta.kubernetes.io/load-balancer-source-ranges"]); text != "" {
			list = strings.Split(text, ",")
		}
	}
	if len(list) == 0 {
		list = []string{"0.0.0.0/0"}
	}
	seen := map[string]bool{}
	for _, text := range list {
		seen[netip.MustParsePrefix(strings.TrimSpace(text)).Masked().String()] = true
	}
	return slices.Sorted(maps.Keys(seen))
}

// tagsFor are those of what is made for a Service: of a group the Service is no
// part.
func (p *peer) tagsFor(svc *v1.Service, group bool) map[string]string {
	tags := pairsOf(svc, "additional-resource-tags")
	tags["kubernetes.io/cluster/rig"] = "owned"
	if p.keys["KubernetesClusterTag"] != "" {
		tags["KubernetesCluster"] = p.keys["KubernetesClusterTag"]
	}
	if !group {
		tags["kubernetes.io/service-name"] = svc.Namespace + "/" + svc.Name
	}
	return tags
}

// machines are the ids of the instances that serve.
func (p *peer) machines(svc *v1.Service) []string {
	var out []string
	for _, n := range p.nodes {
		fits := true
		for key, value := range pairsOf(svc, "target-node-labels") {
			have, ok := n.Labels[key]
			fits = fits && ok && (value == "" || have == value)
		}
		if fits {
			out = append(out, n.Spec.ProviderID[strings.LastIndex(n.Spec.ProviderID, "/")+1:])
		}
	}
	slices.Sort(out)
	return out
}

// subnetsOf are those of a new load balancer: named, or one in each zone.
func (p *peer) subnetsOf(svc *v1.Service) []ec2types.Subnet {
	named := trimmed(svc, "subnets")
	best := map[string]ec2types.Subnet{}
	rank := func(s *ec2types.Subnet) string {
		role := "kubernetes.io/role/elb"
		if isInternal(svc) {
			role = "kubernetes.io/role/internal-elb"
		}
		var r string
		for _, key := range []string{role, "kubernetes.io/cluster/rig"} {
			r += map[bool]string{true: "0", false: "1"}[slices.ContainsFunc(s.Tags, func(t ec2types.Tag) bool { return *t.Key == key })]
		}
		return r + *s.SubnetId
	}
	for i := range p.observed.Subnets {
		s := &p.observed.Subnets[i]
		name := *s.Tags[slices.IndexFunc(s.Tags, func(t ec2types.Tag) bool { return *t.Key == "Name" })].Value
		if len(named) > 0 {
			if slices.Contains(named, *s.SubnetId) || slices.Contains(named, name) {
				best[*s.AvailabilityZone] = *s
			}
			continue
		}
		has, ok := best[*s.AvailabilityZone]
		if (isInternal(svc) || strings.HasPrefix(name, "public")) && (!ok || rank(s) < rank(&has)) {
			best[*s.AvailabilityZone] = *s
		}
	}
	var out []ec2types.Subnet
	for _, zone := range slices.Sorted(maps.Keys(best)) {
		out = append(out, best[zone])
	}
	return out
}

// isInternal is what the peer makes of the annotation: any text but false.
func isInternal(svc *v1.Service) bool {
	return word(svc, "internal") != "" && word(svc, "internal") != "false"
}

// managedHash is that of a network load balancer's own group.
func managedHash(svc *v1.Service) string {
	sum := sha256.Sum256([]byte("rig" + svc.Name + svc.Namespace + string(svc.UID)))
	return hex.EncodeToString(sum[:])
}

func (p *peer) subnetBlocks(ids []string) []string {
	var out []string
	for i := range p.observed.Subnets {
		if slices.Contains(ids, *p.observed.Subnets[i].SubnetId) {
			out = append(out, awssdk.ToString(p.observed.Subnets[i].CidrBlock))
		}
	}
	return out
}
