// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"k8s.io/klog/v2"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
)

// DefaultAddress is where a speaker serves metrics and health. Speakers share
// the node's network; the port is next to those of other load balancers' agents
// (7472, 7473) and away from Kubernetes' own (102xx).
const DefaultAddress = ":7478"

// bootIDFile holds an identifier that the kernel makes at each boot
// (random(4)); kubelet puts the same into the Node's status.
const bootIDFile = "/proc/sys/kernel/random/boot_id"

// BootID identifies the machine's boot; empty when it is not known.
func BootID() string {
	data, err := os.ReadFile(bootIDFile)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}

// UntilStopped returns a context that ends at SIGINT or SIGTERM. A second one
// ends the process at once.
func UntilStopped(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGINT, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}

// errNoMetal says that a file is for another provider.
var errNoMetal = errors.New("the cloud-config has no metal section; a speaker needs metal.peers, metal.pools and metal.advertisements")

// Reconfigure gives the speaker what a cloud-config file holds now, or why it
// cannot be used: then it goes on with what it has, and ends when it has
// nothing yet.
func (a *Agent) Reconfigure(ctx context.Context, c *cloudconfig.Config, err error) {
	log := klog.FromContext(ctx)
	if err == nil && c.Metal == nil {
		err = errNoMetal
	}
	if err != nil {
		log.Error(err, "The cloud-config cannot be used")
		a.inbox.refuse(err)
		return
	}
	for _, f := range c.Faults {
		log.Info("The cloud-config has a fault", "fault", f.Error())
	}
	a.metrics.configured(c.Faults)
	a.Configure(c.Metal)
}
