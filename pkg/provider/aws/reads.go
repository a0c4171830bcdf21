// SPDX-License-Identifier: Apache-2.0

package aws

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	awssdk "github.com/aws/aws-sdk-go-v2/aws"
	elbv2types "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"

	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider"
	"github.com/fairlead/fairlead/pkg/provider/aws/names"
)

// Reads are what a batch needs to know beside what lists tell.
type Reads struct {
	Networks        []string // ARNs of load balancers: listeners and attributes
	Targets         []string // ARNs of target groups: their targets
	Certificates    []string // ARNs of load balancers: all certificates of their listeners
	Listeners       []string // ARNs of load balancers: the attributes of their listeners
	GroupAttributes []string // ARNs of target groups: their attributes
	Tags            []string // ARNs of load balancers and target groups
	Classics        []string // names: attributes
	ClassicTags     []string // names
	VPCs            []string // ids: their ranges
	// Discovery: a load balancer is made, or its subnets are compared, as those of
	// addresses that are chosen: the route tables and the types of the zones.
	Discovery bool
}

// lists are the lists of objects.
func (r *Reads) lists() []*[]string {
	return []*[]string{&r.Networks, &r.Certificates, &r.Listeners, &r.Targets, &r.GroupAttributes, &r.Tags, &r.Classics, &r.ClassicTags, &r.VPCs}
}

// minus are the reads that were not made yet. done may be nil.
func (r *Reads) minus(done *Reads) Reads {
	out := *r
	if done == nil {
		return out
	}
	for i, list := range out.lists() {
		had := *done.lists()[i]
		*list = slices.DeleteFunc(slices.Clone(*list), func(object string) bool {
			_, found := slices.BinarySearch(had, object)
			return found
		})
	}
	// Certificates and the attributes of listeners are read with the listeners.
	out.Networks = slices.Compact(slices.Sorted(slices.Values(slices.Concat(out.Networks, out.Certificates, out.Listeners))))
	out.Discovery = out.Discovery && !done.Discovery
	return out
}

// beyond reports whether load balancers are to be read, or more of them.
func (r *Reads) beyond(done *Reads) bool {
	return len(r.Networks) > len(done.Networks) || len(r.Certificates) > len(done.Certificates)
}

// peerName is a name that the peer gives to load balancers.
var peerName = regexp.MustCompile(`^a[0-9a-f]{31}$`)

// ReadsOf are the reads for the items. What o knows is what the lists told.
func ReadsOf(s *Settings, o *Observed, items []provider.Item) Reads {
	w := newWishes(s, o)
	orphans := false
	for i := range items {
		kept, _ := o.keptForm(s, items[i])
		it := &kept
		kind, elsewhere := kindOf(it.Service, s.Claims)
		name := names.LoadBalancer(it.Service.UID)
		lb, classic := w.byName[name], o.Classics[name]
		if elsewhere {
			if it.Want == provider.Remove {
				w.network(it, lb)
				w.classic(it, name, classic)
			}
			continue
		}
		if s.Claims == AlsoLoadBalancerController {
			found := w.external(it, &s.External) || lb != nil
			orphans = orphans || (!found && intent.AWSFormOf(it.Service) == intent.AWSExternal)
		}
		if it.Want == provider.Remove {
			orphans = orphans || (lb == nil && classic == nil)
		}
		w.network(it, lb)
		w.classic(it, name, classic)
		if it.Want == provider.Serve {
			missing := kind == ClassicKind || lb == nil || lb.Scheme != schemeOf(it.Intent) // then another is made
			w.Discovery = w.Discovery || missing || asksForAddresses(it.Service)
		}
	}
	if orphans {
		w.orphans(s.Claims)
	}
	return w.sorted()
}

// newWishes wishes for nothing yet.
func newWishes(s *Settings, o *Observed) *wishes {
	w := &wishes{observed: o, vpc: s.VPC, byName: o.networksByName(), groups: map[string][]*TargetGroup{}}
	for _, arn := range slices.Sorted(maps.Keys(o.TargetGroups)) {
		g := o.TargetGroups[arn]
		for _, lb := range g.LoadBalancerArns {
			w.groups[lb] = append(w.groups[lb], g)
		}
		if len(g.LoadBalancerArns) == 0 {
			w.loose = append(w.loose, g)
		}
	}
	if s.Claims == AlsoLoadBalancerController {
		w.findNames()
	}
	return w
}

type wishes struct {
	Reads
	observed *Observed
	vpc      string // id
	byName   map[string]*Network
	groups   map[string][]*TargetGroup // by the load balancer's ARN
	loose    []*TargetGroup            // without a load balancer
	// named are the Services by the names that they give to load balancers, and
	// alike those by what their target groups' names begin with.
	named, alike map[string][]plan.Key
}

// network adds what is to be known of a Service's network load balancer and
// target groups.
func (w *wishes) network(it *provider.Item, lb *Network) {
	if it.Want == provider.Serve && it.Intent.AWS == intent.AWSExternal && mayLetVPCIn(it, lb) {
		w.VPCs = append(w.VPCs, w.vpc)
	}
	groups := slices.DeleteFunc(slices.Clone(w.loose), func(g *TargetGroup) bool {
		return !names.MayBe(awssdk.ToString(g.TargetGroupName), it.Key.Namespace, it.Key.Name)
	})
	for _, g := range groups {
		w.Tags = append(w.Tags, awssdk.ToString(g.TargetGroupArn))
	}
	if lb != nil {
		arn := awssdk.ToString(lb.LoadBalancerArn)
		w.Tags = append(w.Tags, arn)
		groups = append(groups, w.groupsFor(it, lb)...)
		pods := slices.ContainsFunc(w.groups[arn], func(g *TargetGroup) bool { return g.TargetType == elbv2types.TargetTypeEnumIp })
		if it.Want == provider.Keep && pods {
			w.Networks = append(w.Networks, arn)
		}
		if it.Want == provider.Serve {
			w.Networks = append(w.Networks, arn)
			if it.Intent.AWS == intent.AWSExternal && wantsListenerAttributes(it.Service) {
				w.Listeners = append(w.Listeners, arn)
			}
			certificates, _ := it.Intent.Options.Texts(intent.KeyAWSCertificates)
			_, several := lb.Tags[names.TagCertificates]
			if several || len(certificates) > 1 || (len(certificates) > 0 && (it.Edited() || it.Intent.AWS == intent.AWSExternal)) {
				w.Certificates = append(w.Certificates, arn)
			}
		}
	}
	if it.Want == provider.Remove {
		return
	}
	attributes := wantsGroupAttributes(it)
	for _, g := range groups {
		w.Targets = append(w.Targets, awssdk.ToString(g.TargetGroupArn))
		if attributes {
			w.GroupAttributes = append(w.GroupAttributes, awssdk.ToString(g.TargetGroupArn))
		}
	}
}

// groupsFor are the load balancer's target groups, without those of others where
// Services share it.
func (w *wishes) groupsFor(it *provider.Item, lb *Network) []*TargetGroup {
	groups := w.groups[awssdk.ToString(lb.LoadBalancerArn)]
	if len(w.named[awssdk.ToString(lb.LoadBalancerName)]) == 0 {
		return groups
	}
	return slices.DeleteFunc(slices.Clone(groups), func(g *TargetGroup) bool {
		return !names.MayBe(awssdk.ToString(g.TargetGroupName), it.Key.Namespace, it.Key.Name)
	})
}

// wantsGroupAttributes reports whether attributes of target groups matter: where
// annotations ask for some, or may have done so before an edit.
func wantsGroupAttributes(it *provider.Item) bool {
	return intent.AWSWritesAny(it.Service, intent.KeyAWSTargetGroupAttributes) || intent.AWSWritesAny(it.Service, intent.KeyAWSProxyProtocol) ||
		(it.Intent.AWS == intent.AWSExternal && it.Edited())
}

// external adds load balancers that may be the Service's: by the names that the
// AWS Load Balancer Controller or the user gives; and by the Service's status and
// by tags, since the user may give another name later. It reports whether there
// are any.
func (w *wishes) external(it *provider.Item, by *External) (found bool) {
	wanted, base, prefix := intent.AWSNameOf(it.Service), names.LoadBalancer(it.Service.UID), names.Prefix(it.Key.Namespace, it.Key.Name)
	for name, lb := range w.byName {
		named := name == wanted || strings.HasPrefix(name, prefix)
		if named || shows(it.Service, lb.DNSName) || by.OwnsFor(lb.Tags, it.Key.Namespace, it.Key.Name) {
			w.network(it, lb)
			found = true
		}
		if name == wanted {
			w.part(it, lb)
		} else if mine, _ := w.groupsAt(lb, prefix); mine && (len(w.named[name]) > 0 || (it.Want == provider.Remove && !named && name != base)) {
			w.allOf(lb)
		}
	}
	return found
}

// findNames finds what several Services may share.
func (w *wishes) findNames() {
	w.named, w.alike = map[string][]plan.Key{}, map[string][]plan.Key{}
	for _, svc := range w.observed.Services {
		prefix := names.Prefix(svc.Namespace, svc.Name)
		w.alike[prefix] = append(w.alike[prefix], provider.KeyOf(svc))
		if name := intent.AWSNameOf(svc); name != "" {
			w.named[name] = append(w.named[name], provider.KeyOf(svc))
		}
	}
}

// hasOther reports whether the keys have one but that of the item.
func hasOther(keys []plan.Key, it *provider.Item) bool {
	return slices.ContainsFunc(keys, func(key plan.Key) bool { return key != it.Key })
}

// part adds what tells the Service's part of the load balancer that it names,
// where others may have a part too.
func (w *wishes) part(it *provider.Item, lb *Network) {
	prefix := names.Prefix(it.Key.Namespace, it.Key.Name)
	_, theirs := w.groupsAt(lb, prefix)
	if theirs || hasOther(w.named[awssdk.ToString(lb.LoadBalancerName)], it) || hasOther(w.alike[prefix], it) {
		w.allOf(lb)
	}
}

// groupsAt reports whether the load balancer has target groups with the prefix,
// and others.
func (w *wishes) groupsAt(lb *Network, prefix string) (mine, theirs bool) {
	for _, g := range w.groups[awssdk.ToString(lb.LoadBalancerArn)] {
		may := strings.HasPrefix(awssdk.ToString(g.TargetGroupName), prefix)
		mine, theirs = mine || may, theirs || !may
	}
	return mine, theirs
}

// allOf adds the listeners of a load balancer, and the tags that tell whose its
// target groups are.
func (w *wishes) allOf(lb *Network) {
	arn := awssdk.ToString(lb.LoadBalancerArn)
	w.Tags, w.Networks = append(w.Tags, arn), append(w.Networks, arn)
	for _, g := range w.groups[arn] {
		w.Tags = append(w.Tags, awssdk.ToString(g.TargetGroupArn))
	}
}

// classic adds what is to be known of a Service's classic load balancer.
func (w *wishes) classic(it *provider.Item, name string, c *Classic) {
	if c == nil {
		return
	}
	w.ClassicTags = append(w.ClassicTags, name)
	if it.Want == provider.Serve {
		w.Classics = append(w.Classics, name)
	}
}

// orphans adds load balancers that are nobody's by name: one of them may be
// that of a Service that is removed, or whose name was changed. Where users give
// names, it may be any whose tags are not known.
func (w *wishes) orphans(c Claims) {
	owned := map[string]bool{}
	for _, svc := range w.observed.Services {
		owned[names.LoadBalancer(svc.UID)] = true
	}
	for name, lb := range w.byName {
		if (peerName.MatchString(name) && !owned[name]) || (c == AlsoLoadBalancerController && lb.Tags == nil) {
			w.Tags = append(w.Tags, awssdk.ToString(lb.LoadBalancerArn))
		}
	}
}

func (w *wishes) sorted() Reads {
	for _, list := range w.lists() {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	return w.Reads
}

// Knows reports whether o holds all that the reads would tell.
func (o *Observed) Knows(r Reads) bool {
	network := func(has func(*Network) bool) func(string) bool {
		return func(arn string) bool { lb := o.Networks[arn]; return lb == nil || !has(lb) }
	}
	group := func(has func(*TargetGroup) bool) func(string) bool {
		return func(arn string) bool { g := o.TargetGroups[arn]; return g == nil || !has(g) }
	}
	classic := func(has func(*Classic) bool) func(string) bool {
		return func(name string) bool { c := o.Classics[name]; return c == nil || !has(c) }
	}
	for _, read := range []struct {
		list    []string
		missing func(string) bool
	}{
		{r.Networks, network(func(n *Network) bool { return n.Listeners != nil && n.Attributes != nil && n.Tags != nil })},
		{r.Certificates, network(func(n *Network) bool { return n.Certificates != nil })},
		{r.Listeners, network(func(n *Network) bool { return n.ListenerAttributes != nil })},
		{r.Targets, group(func(g *TargetGroup) bool { return g.TargetsRead })},
		{r.GroupAttributes, group(func(g *TargetGroup) bool { return g.Attributes != nil })},
		{r.Classics, classic(func(c *Classic) bool { return c.Attributes != nil })},
		{r.ClassicTags, classic(func(c *Classic) bool { return c.Tags != nil })},
		{r.VPCs, func(string) bool { return o.VPC == nil }},
	} {
		if slices.ContainsFunc(read.list, read.missing) {
			return false
		}
	}
	return o.unread(r) == nil && (!r.Discovery || (o.RouteTables != nil && o.ZoneTypes != nil))
}

// keepDetails takes over from an older observation what lists do not tell.
func (o *Observed) keepDetails(old *Observed) {
	if old == nil {
		return
	}
	for arn, lb := range o.Networks {
		if had, ok := old.Networks[arn]; ok {
			lb.Tags, lb.Attributes, lb.Listeners = had.Tags, had.Attributes, had.Listeners
			lb.Certificates, lb.ListenerAttributes = had.Certificates, had.ListenerAttributes
		}
	}
	for arn, g := range o.TargetGroups {
		if had, ok := old.TargetGroups[arn]; ok {
			g.Tags, g.Attributes, g.Targets, g.TargetsRead = had.Tags, had.Attributes, had.Targets, had.TargetsRead
		}
	}
	for name, c := range o.Classics {
		if had, ok := old.Classics[name]; ok {
			c.Tags, c.Attributes = had.Tags, had.Attributes
		}
	}
	if o.VPC == nil {
		o.VPC = old.VPC
	}
	if o.RouteTables == nil {
		o.RouteTables, o.ZoneTypes = old.RouteTables, old.ZoneTypes
	}
}
