// SPDX-License-Identifier: Apache-2.0

package ccm

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
	"github.com/fairlead/fairlead/pkg/intent"
)

// AzureFlags are the flags that cloud-provider-azure has besides those of every
// cloud controller manager, so that ours can stand where it stood.
type AzureFlags struct {
	// Reload lets the configuration come from the Secret when there is no file.
	// A change of either always counts without a restart.
	Reload bool
	// SecretName, SecretNamespace and SecretKey are where the Secret with the
	// configuration is.
	SecretName, SecretNamespace, SecretKey string
	// NodeGraceSeconds counts over the cloud-config's
	// nodeInstanceNotFoundGracePeriodInSeconds unless it is 0.
	NodeGraceSeconds int

	nodeFilter  string
	serviceCIDR string
	maskSize    int32
	maskSizeV4  int32
	maskSizeV6  int32

	flags *pflag.FlagSet
}

// flagSecretName is the flag that makes a Secret count beside a file.
const flagSecretName = "cloud-config-secret-name" //nolint:gosec // G101: the name of a flag.

// add adds the flags, with the defaults of the peer.
func (f *AzureFlags) add(fs *pflag.FlagSet) {
	f.flags = fs
	fs.BoolVar(&f.Reload, "enable-dynamic-reloading", f.Reload,
		"Without --cloud-config, read the configuration from the Secret. Changes of the file or the Secret always count without a restart.")
	fs.StringVar(&f.SecretName, flagSecretName, "cloud-provider-config",
		"The Secret with the configuration. Given beside --cloud-config, both count as the file's cloudConfigType says.")
	fs.StringVar(&f.SecretNamespace, "cloud-config-secret-namespace", "kube-system", "The namespace of the Secret.")
	fs.StringVar(&f.SecretKey, "cloud-config-key", "cloud-config", "The key of the configuration in the Secret.")
	fs.IntVar(&f.NodeGraceSeconds, "node-instance-not-found-grace-period-in-seconds", f.NodeGraceSeconds,
		"How long a new node that Azure does not show yet counts as existing. 0: as the cloud-config says.")
	fs.StringVar(&f.nodeFilter, "node-filter-requirements", "", "Has no effect; taken so that manifests of cloud-provider-azure work.")
	fs.StringVar(&f.serviceCIDR, "service-cluster-ip-range", "", "Has no effect; taken so that manifests of cloud-provider-azure work.")
	fs.Int32Var(&f.maskSize, "node-cidr-mask-size", 0, "Has no effect; taken so that manifests of cloud-provider-azure work.")
	fs.Int32Var(&f.maskSizeV4, "node-cidr-mask-size-ipv4", 0, "Has no effect; taken so that manifests of cloud-provider-azure work.")
	fs.Int32Var(&f.maskSizeV6, "node-cidr-mask-size-ipv6", 0, "Has no effect; taken so that manifests of cloud-provider-azure work.")
}

// given reports whether a flag stands on the command line.
func (f *AzureFlags) given(name string) bool { return f.flags != nil && f.flags.Changed(name) }

// wantsSecret reports whether the configuration comes from the Secret, alone or
// beside the file.
func (f *AzureFlags) wantsSecret(file string) bool {
	return f.given(flagSecretName) || (f.Reload && file == "")
}

// apply lets flags count over the cloud-config.
func (f *AzureFlags) apply(conf *cloudconfig.Config) *cloudconfig.Config {
	if conf == nil || conf.Azure == nil || f.NodeGraceSeconds == 0 {
		return conf
	}
	out, azure := *conf, *conf.Azure
	azure.NodeGracePeriod = time.Duration(f.NodeGraceSeconds) * time.Second
	out.Azure = &azure
	return &out
}

func (f *AzureFlags) validate() error {
	if f.NodeGraceSeconds < 0 {
		return fmt.Errorf("--node-instance-not-found-grace-period-in-seconds %d: must be at least 0", f.NodeGraceSeconds)
	}
	return nil
}

// nodeIPAM is the peer's name of a controller that is none of ours.
const nodeIPAM = "node-ipam"

// azureWarnings are the flags of cloud-provider-azure that have no effect or
// another one here, a sentence each.
func (o *Options) azureWarnings() []string {
	f := &o.Azure
	if o.KubeCloudShared.CloudProvider.Name != intent.Azure {
		return misplaced(f.flags, intent.Azure)
	}
	const ipam = "Pod CIDRs are given to nodes by kube-controller-manager; leave the flag out here, and set it there"
	var out []string
	for flag, why := range map[string]string{
		"node-filter-requirements": "all nodes are looked after; label those that shall not be with kubernetes.azure.com/managed=false, and leave the flag out",
		"service-cluster-ip-range": ipam,
		"node-cidr-mask-size":      ipam,
		"node-cidr-mask-size-ipv4": ipam,
		"node-cidr-mask-size-ipv6": ipam,
	} {
		if f.given(flag) {
			out = append(out, fmt.Sprintf("--%s has no effect: %s", flag, why))
		}
	}
	if slices.Contains(o.Generic.Controllers, nodeIPAM) {
		out = append(out, "--controllers "+nodeIPAM+" has no effect: Pod CIDRs are given to nodes by kube-controller-manager; leave it out")
	}
	if o.ServiceController.ConcurrentServiceSyncs == 1 {
		out = append(out, fmt.Sprintf("--concurrent-service-syncs 1 counts as %d: cloud-provider-azure can serve but one Service after the other, and what is served together here needs fewer writes; leave the flag out", defaultServiceWorkers))
	}
	slices.Sort(out)
	return out
}

// misplaced are the flags given that are for a cloud, on another one.
func misplaced(flags *pflag.FlagSet, cloud string) []string {
	var out []string
	if flags == nil {
		return nil
	}
	flags.VisitAll(func(flag *pflag.Flag) {
		if flag.Changed {
			out = append(out, fmt.Sprintf("--%s has no effect: it is for --cloud-provider=%s; leave it out", flag.Name, cloud))
		}
	})
	return out
}

// liftServiceSyncs takes the only number of workers that cloud-provider-azure
// allows for none.
func (o *Options) liftServiceSyncs() {
	if o.KubeCloudShared.CloudProvider.Name == intent.Azure && o.ServiceController.ConcurrentServiceSyncs == 1 {
		o.ServiceController.ConcurrentServiceSyncs = defaultServiceWorkers
	}
}

// dropForeignControllers takes out of --controllers what none of ours is named.
func (o *Options) dropForeignControllers() {
	o.AWS.tagging = o.AWS.tagging || o.asksForTagging()
	o.Generic.Controllers = slices.DeleteFunc(slices.Clone(o.Generic.Controllers), func(name string) bool {
		name = strings.TrimPrefix(name, "-")
		return name == nodeIPAM || isTagging(name)
	})
}
