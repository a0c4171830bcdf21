// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"errors"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	awssim "github.com/fairlead/fairlead/test/cloud/aws"
)

// deserted is a site of AWS whose Services are gone, with what they left.
func deserted(t *testing.T, states ...string) (*awssim.Cloud, string, *fake.Clientset) {
	t.Helper()
	ownCredentials(t)
	cloud, config, client := awsSite(t, states)
	services, err := client.CoreV1().Services(metav1.NamespaceAll).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range services.Items {
		if err := client.CoreV1().Services(services.Items[i].Namespace).Delete(t.Context(), services.Items[i].Name, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	return cloud, config, client
}

// TestGCOnAWS: all that cloud-provider-aws made for Services that are gone is
// told, and with --delete the cloud is as before.
func TestGCOnAWS(t *testing.T) {
	files, err := filepath.Glob("../../test/cloud/aws/testdata/*/service.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden states: %v", err)
	}
	for _, file := range files {
		name := filepath.Base(filepath.Dir(file))
		t.Run(name, func(t *testing.T) {
			bare, _, _ := deserted(t, "site")
			cloud, config, client := deserted(t, "site", name)
			emptied(t, client, of(config, "rig"), "gc-"+name+".txt", func() string { return string(cloud.State()) })
			if got, want := string(cloud.State()), string(bare.State()); got != want {
				t.Errorf("left behind:\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// TestGCSaysWhenAnotherClusterIsMeantOnAWS: nothing is offered that may be in use
// elsewhere, and "nothing is left over" is said of no cluster that is not there.
func TestGCSaysWhenAnotherClusterIsMeantOnAWS(t *testing.T) {
	const id = "kubernetesClusterID: rig"
	empty := func(t *testing.T, _ *awssim.Cloud, client *fake.Clientset) { withoutNodes(t, client) }
	for name, c := range map[string]struct {
		old, wrong string
		change     func(*testing.T, *awssim.Cloud, *fake.Clientset)
		want       string
	}{
		"another cluster's machines": {id, "kubernetesClusterID: other", nil, `of a node has the tag of cluster "rig", and no node has that of "other"`},
		"a cluster of which nothing is there": {
			id, "kubernetesClusterID: other", empty,
			"has the tag kubernetes.io/cluster/other: no subnet, security group, instance of a node or load balancer; correct kubernetesClusterID in the cloud-config",
		},
		"an empty cluster":                 {id, id, empty, "nothing that lives has the tag kubernetes.io/cluster/rig, no instance of a node and no load balancer of a Service"},
		"another cluster's load balancers": {id, id, renamedMachines, `of a node has the tag of cluster "mine", and no node has that of "rig"`},
		"another --cluster-name":           {id, id, managedLives, "which lives, has not the name that --cluster-name other makes"},
		"another VPC":                      {"vpc: vpc-", "vpc: vpc-0", nil, "has no security group in region us-east-1 that can be seen; correct VPC and region"},
	} {
		t.Run(name, func(t *testing.T) {
			cloud, file, client := deserted(t, "site", "nlb-managed-group")
			rewrite(t, file, c.old, c.wrong)
			if c.change != nil {
				c.change(t, cloud, client)
			}
			before := string(cloud.State())
			for _, format := range []string{"text", "json"} {
				out, err := collected(t, client, of(file, "other", deleting, func(c *collector) { c.output = format }))
				if !errors.Is(err, ErrRefused) || !strings.Contains(strings.ReplaceAll(out, `\"`, `"`), c.want) || strings.Contains(out, "Nothing is left over") {
					t.Errorf("%v\n%s", err, out)
				}
			}
			if string(cloud.State()) != before {
				t.Error("something was written")
			}
		})
	}
}

// managedLives lets the Service live whose load balancer has a group of its own.
func managedLives(t *testing.T, _ *awssim.Cloud, client *fake.Clientset) {
	t.Helper()
	svc := &v1.Service{}
	leftOnAWS(t, svc, "nlb-managed-group", "service.json")
	if _, err := client.CoreV1().Services(svc.Namespace).Create(t.Context(), svc, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// renamedMachines gives the machines the tag of another cluster than their
// load balancers have.
func renamedMachines(t *testing.T, cloud *awssim.Cloud, client *fake.Clientset) {
	t.Helper()
	nodes, err := client.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range nodes.Items {
		id := nodes.Items[i].Spec.ProviderID
		id = id[strings.LastIndexByte(id, '/')+1:]
		for api, key := range map[string]string{"ec2.DeleteTags": "kubernetes.io/cluster/rig", "ec2.CreateTags": "kubernetes.io/cluster/mine"} {
			if err := cloud.Apply(api, url.Values{"ResourceId.1": {id}, "Tag.1.Key": {key}, "Tag.1.Value": {"owned"}}); err != nil {
				t.Fatal(err)
			}
		}
	}
}
