// SPDX-License-Identifier: Apache-2.0

package ccm_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/component-base/metrics"

	"github.com/fairlead/fairlead/pkg/ccm"
	"github.com/fairlead/fairlead/pkg/cloudconfig"
	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/provider"
	awssim "github.com/fairlead/fairlead/test/cloud/aws"
	"github.com/fairlead/fairlead/test/cloud/sim"
)

// onAWS is a provider as the controller makes it, before a simulated account
// with a machine that is a node.
type onAWS struct {
	provider.Provider
	cloud   *awssim.Cloud
	client  *fake.Clientset
	writing func(work func()) // Write of Deps
}

// start makes the provider. The lines are more keys of section aws.
func (x *onAWS) start(t *testing.T, lines ...string) {
	t.Helper()
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any", "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
	} {
		t.Setenv(name, value)
	}
	x.cloud = awssim.New(awssim.Options{})
	site := x.cloud.NewSite(awssim.SiteOptions{})
	server := x.cloud.Start()
	t.Cleanup(server.Close)
	text := fmt.Sprintf("apiVersion: config.fairlead.dev/v1alpha1\nkind: CloudConfig\naws:\n  region: us-east-1\n  vpc: %s\n  kubernetesClusterID: rig\n"+
		"  endpoints: {ec2: %[2]s, elasticLoadBalancing: %[2]s, elasticLoadBalancingV2: %[2]s}\n", site.VPC, server.URL)
	for _, line := range lines {
		text += "  " + line + "\n"
	}
	conf, err := cloudconfig.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	objects := []runtime.Object{
		&v1.Node{ObjectMeta: metav1.ObjectMeta{Name: "node"}, Spec: v1.NodeSpec{ProviderID: "aws:///us-east-1a/" + site.Launch(1)[0]}},
		&v1.Service{
			ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "web", Annotations: map[string]string{intent.KeyAWSType: "external"}},
			Spec:       v1.ServiceSpec{Type: v1.ServiceTypeLoadBalancer},
		},
	}
	x.client = fake.NewClientset(objects...)
	factory := informers.NewSharedInformerFactory(x.client, 0)
	clouds := ccm.Clouds()
	at := slices.IndexFunc(clouds, func(c ccm.Cloud) bool { return c.Name == intent.AWS })
	if x.Provider, err = clouds[at].New(t.Context(), ccm.Deps{
		Config: conf, Cluster: "rig", Informers: factory, Client: x.client,
		Go: func(work func()) { go work() }, Write: x.writing,
		Watch: func(func(*cloudconfig.Config)) {}, Metrics: func(metrics.StableCollector) error { return nil },
	}); err != nil {
		t.Fatal(err)
	}
	factory.Start(t.Context().Done())
	factory.WaitForCacheSync(t.Context().Done())
}

// tagged returns nil when a write has tagged the machine.
func (x *onAWS) tagged(context.Context) error {
	if n := x.cloud.Counts().Writes["ec2.CreateTags"]; n != 1 {
		return fmt.Errorf("%d calls have tagged", n)
	}
	return nil
}

func TestAWSAnswersForNodes(t *testing.T) {
	x := &onAWS{}
	x.start(t)
	node, err := x.client.CoreV1().Nodes().Get(t.Context(), "node", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if there, err := x.Instances().InstanceExists(t.Context(), node); !there || err != nil {
		t.Errorf("the node's instance: %v, %v", there, err)
	}
	if x.Routes() == nil {
		t.Error("nobody keeps routes")
	}
}

func TestAWSTagsNodesWhereItMayWrite(t *testing.T) {
	const tags = "nodeTags: {team: web}"
	x := &onAWS{writing: func(work func()) { go work() }}
	x.start(t, tags)
	eventually(t, limit, x.tagged)

	held := make(chan func(), 1)
	dry := &onAWS{writing: func(work func()) { held <- work }}
	dry.start(t, tags)
	if n := sim.Total(dry.cloud.Counts().Writes); n != 0 {
		t.Errorf("%d writes where there are to be none", n)
	}
	go (<-held)() // what was held back is the tagging
	eventually(t, limit, dry.tagged)
}

func TestAWSFollowsEndpointsWhereItClaimsTheirServices(t *testing.T) {
	for claim, want := range map[string]bool{"true": true, "false": false} {
		t.Run(claim, func(t *testing.T) {
			x := &onAWS{}
			x.start(t, "loadBalancerController: {claim: "+claim+", defaultTargetType: ip}")
			if _, err := x.client.DiscoveryV1().EndpointSlices("default").Create(t.Context(), &discoveryv1.EndpointSlice{
				ObjectMeta:  metav1.ObjectMeta{Name: "web-1", Labels: map[string]string{discoveryv1.LabelServiceName: "web"}},
				AddressType: discoveryv1.AddressTypeIPv4, Endpoints: []discoveryv1.Endpoint{{Addresses: []string{"10.0.96.9"}}},
			}, metav1.CreateOptions{}); err != nil {
				t.Fatal(err)
			}
			if !want {
				for _, a := range x.client.Actions() {
					if a.GetResource().Resource == "endpointslices" && a.GetVerb() != "create" {
						t.Errorf("%s endpointslices, which nobody needs", a.GetVerb())
					}
				}
				return
			}
			select {
			case <-x.Changed():
			case <-time.After(limit):
				t.Error("no pass began")
			}
		})
	}
}
