// SPDX-License-Identifier: Apache-2.0

package ccm

import (
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/pflag"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
	"github.com/fairlead/fairlead/pkg/intent"
)

// AWSFlags are the flags that cloud-provider-aws has besides those of every
// cloud controller manager, so that ours can stand where it stood: those of its
// tagging controller, which --controllers has to name.
type AWSFlags struct {
	// NodeTags are those that the instances of nodes get.
	NodeTags map[string]string
	// Resources are what gets the tags: instance alone.
	Resources []string

	rateLimit  float64
	burstLimit int
	workers    int
	batching   bool

	tagging bool // --controllers named the tagging controller
	flags   *pflag.FlagSet
}

const (
	flagTags      = "tags"
	flagResources = "resources"
	// taggedResource is the only resource that is tagged.
	taggedResource = "instance"
)

// isTagging reports whether it is a name of cloud-provider-aws' tagging
// controller.
func isTagging(controller string) bool {
	return controller == "tagging" || controller == "tagging-controller"
}

// add adds the flags, with the defaults of the peer.
func (f *AWSFlags) add(fs *pflag.FlagSet) {
	const noEffect = "Has no effect; taken so that manifests of cloud-provider-aws work."
	f.flags = fs
	fs.StringToStringVar(&f.NodeTags, flagTags, f.NodeTags,
		"Tags of the nodes' instances, where --controllers names tagging. They count over nodeTags of the cloud-config.")
	fs.StringArrayVar(&f.Resources, flagResources, f.Resources, "What gets the tags: instance.")
	fs.Float64Var(&f.rateLimit, "tagging-controller-rate-limit", 0, noEffect)
	fs.IntVar(&f.burstLimit, "tagging-controller-burst-limit", 0, noEffect)
	fs.IntVar(&f.workers, "tagging-controller-concurrent-node-syncs", 1, noEffect)
	fs.BoolVar(&f.batching, "tagging-controller-enable-batching", false, noEffect)
}

// asksForTagging reports whether --controllers names the tagging controller:
// its star does not.
func (o *Options) asksForTagging() bool { return slices.ContainsFunc(o.Generic.Controllers, isTagging) }

// applyAWS lets flags count over the cloud-config.
func (o *Options) applyAWS(conf *cloudconfig.Config) *cloudconfig.Config {
	if conf == nil || conf.AWS == nil {
		return conf
	}
	out, aws := *conf, *conf.AWS
	aws.AllowUntagged = aws.AllowUntagged || o.KubeCloudShared.AllowUntaggedCloud
	if o.AWS.tagging || o.asksForTagging() {
		aws.NodeTags = o.AWS.NodeTags
	}
	out.AWS = &aws
	return &out
}

// validateAWS refuses what cloud-provider-aws refuses of its tagging controller.
func (o *Options) validateAWS() error {
	if o.KubeCloudShared.CloudProvider.Name != intent.AWS || !o.asksForTagging() {
		return nil
	}
	var errs []error
	if len(o.AWS.NodeTags) == 0 {
		errs = append(errs, fmt.Errorf("--%s is empty: --controllers names tagging; give the tags, such as cluster=prod", flagTags))
	}
	if len(o.AWS.Resources) == 0 {
		errs = append(errs, fmt.Errorf("--%s is empty: --controllers names tagging; give %s", flagResources, taggedResource))
	}
	for _, r := range o.AWS.Resources {
		if r != taggedResource {
			errs = append(errs, fmt.Errorf("--%s %q: must be %s", flagResources, r, taggedResource))
		}
	}
	return errors.Join(errs...)
}

// awsWarnings are the flags of cloud-provider-aws that have no effect or another
// one here, a sentence each.
func (o *Options) awsWarnings() []string {
	f := &o.AWS
	if o.KubeCloudShared.CloudProvider.Name != intent.AWS {
		return misplaced(f.flags, intent.AWS)
	}
	given := func(name string) bool { return f.flags != nil && f.flags.Changed(name) }
	const paced = "calls keep to the limits of AWS by themselves; leave the flag out"
	why := map[string]string{
		"tagging-controller-rate-limit":            paced,
		"tagging-controller-burst-limit":           paced,
		"tagging-controller-concurrent-node-syncs": "nodes are tagged many at a time, in one call; leave the flag out",
		"tagging-controller-enable-batching":       "nodes are always tagged many at a time; leave the flag out",
	}
	if !o.asksForTagging() {
		why[flagTags] = "--controllers does not name tagging; add it, as in --controllers=*,tagging, or leave the flag out"
		why[flagResources] = why[flagTags]
	}
	var out []string
	for flag, reason := range why {
		if given(flag) {
			out = append(out, fmt.Sprintf("--%s has no effect: %s", flag, reason))
		}
	}
	if n := o.ServiceController.ConcurrentServiceSyncs; n < defaultServiceWorkers {
		out = append(out, fmt.Sprintf("--concurrent-service-syncs %d makes Services wait for each other: what is served together needs fewer calls; leave the flag out", n))
	}
	slices.Sort(out)
	return out
}
