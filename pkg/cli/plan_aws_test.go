// SPDX-License-Identifier: Apache-2.0

package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/genericiooptions"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/fairlead/fairlead/pkg/ccm"
	"github.com/fairlead/fairlead/pkg/engine"
	"github.com/fairlead/fairlead/pkg/intent"
	"github.com/fairlead/fairlead/pkg/plan"
	awssim "github.com/fairlead/fairlead/test/cloud/aws"
	"github.com/fairlead/fairlead/test/cloud/sim"
)

// leftOnAWS decodes a file of a state that cloud-provider-aws left.
func leftOnAWS(t *testing.T, into any, path ...string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(append([]string{"../../test/cloud/aws/testdata"}, path...)...))
	if err == nil {
		err = json.Unmarshal(data, into)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// awsSite is a cloud that holds the states, its cloud-config, and the cluster of
// nlb-default.
func awsSite(t *testing.T, states []string) (cloud *awssim.Cloud, config string, client *fake.Clientset) {
	t.Helper()
	cloud = awssim.New(awssim.Options{})
	all := make([][]byte, len(states))
	for i, state := range states {
		var raw json.RawMessage
		leftOnAWS(t, &raw, state, "state.json")
		all[i] = raw
	}
	if err := cloud.Seed(all...); err != nil {
		t.Fatal(err)
	}
	server := cloud.Start()
	t.Cleanup(server.Close)
	var site struct{ VPC string }
	var nodes []*v1.Node
	svc := &v1.Service{}
	leftOnAWS(t, &site, "site", "site.json")
	leftOnAWS(t, &nodes, "site", "nodes.json")
	leftOnAWS(t, svc, "nlb-default", "service.json")
	objects := []runtime.Object{svc}
	for _, n := range nodes {
		objects = append(objects, n)
	}
	config = filepath.Join(t.TempDir(), "cloud.yaml")
	text := fmt.Sprintf(`apiVersion: config.fairlead.dev/v1alpha1
kind: CloudConfig
aws:
  region: us-east-1
  vpc: %s
  kubernetesClusterID: rig
  endpoints: {ec2: %[2]s, elasticLoadBalancing: %[2]s, elasticLoadBalancingV2: %[2]s}
`, site.VPC, server.URL)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return cloud, config, fake.NewClientset(objects...)
}

// ownCredentials are those of a user.
func ownCredentials(t *testing.T) {
	t.Helper()
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any", "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
	} {
		t.Setenv(name, value)
	}
}

// TestPlanOnAWS plans with the user's own credentials: nothing for what
// cloud-provider-aws made, and all of it where nothing is.
func TestPlanOnAWS(t *testing.T) {
	ownCredentials(t)
	for _, tt := range []struct {
		name   string
		states []string
		want   error
		lines  []string
	}{
		{"adopted", []string{"site", "nlb-default"}, nil, []string{"Nothing to do."}},
		{"made", []string{"site"}, ErrPlanned, []string{"+ aws/loadBalancer ae5cc7bb694724c608ab860b114e1cc1", "+ aws/listener ae5cc7bb694724c608ab860b114e1cc1:80"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cloud, file, client := awsSite(t, tt.states)
			out, err := planned(t, client, func(p *planner) { p.from.file, p.cluster = file, "rig" })
			if !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
			for _, line := range tt.lines {
				if !strings.Contains(out, line) {
					t.Errorf("the plan has no line %q:\n%s", line, out)
				}
			}
			if n := sim.Total(cloud.Counts().Writes); n > 0 {
				t.Errorf("the plan made %d writes", n)
			}
		})
	}
}

// TestPlanTellsWhatFailed: a plan cannot know what AWS refuses, the condition can.
func TestPlanTellsWhatFailed(t *testing.T) {
	ownCredentials(t)
	const sentence = "create listener: refused: CertificateNotFound"
	for _, tt := range []struct {
		name             string
		status           metav1.ConditionStatus
		generation, seen int64
		told             bool
	}{
		{"failed", metav1.ConditionFalse, 2, 2, true},
		{"failed before it was edited", metav1.ConditionFalse, 2, 1, false},
		{"served", metav1.ConditionTrue, 2, 2, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, file, client := awsSite(t, []string{"site"})
			svc, err := client.CoreV1().Services("default").Get(t.Context(), "nlb-default", metav1.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			svc.Generation = tt.generation
			svc.Status.Conditions = []metav1.Condition{{
				Type: engine.ConditionProgrammed, Status: tt.status, ObservedGeneration: tt.seen, Reason: "AWSRefused", Message: sentence,
			}}
			if _, err := client.CoreV1().Services("default").Update(t.Context(), svc, metav1.UpdateOptions{}); err != nil {
				t.Fatal(err)
			}
			for format, want := range map[string]string{
				"text": "\n! default/nlb-default: AWSRefused: " + sentence + "\n",
				"json": `"default/nlb-default": "AWSRefused: ` + sentence + `"`,
			} {
				out, err := planned(t, client, func(p *planner) { p.from.file, p.cluster, p.output = file, "rig", format })
				if !errors.Is(err, ErrPlanned) || strings.Contains(out, want) != tt.told {
					t.Errorf("%s: %v, want %q: %v\n%s", format, err, want, tt.told, out)
				}
			}
		})
	}
}

// TestExplainOnAWS explains what cloud-provider-aws made, with the reads of a
// plan and one for each target group.
func TestExplainOnAWS(t *testing.T) {
	ownCredentials(t)
	cloud, file, client := awsSite(t, []string{"site", "nlb-default"})
	if _, err := planned(t, client, func(p *planner) { p.from.file, p.cluster = file, "rig" }); err != nil {
		t.Fatal(err)
	}
	reads := sim.Total(cloud.Counts().Reads)
	cloud.ResetCalls()
	var out bytes.Buffer
	p := planner{
		IOStreams: genericiooptions.IOStreams{Out: &out, ErrOut: &out}, from: source{namespace: systemNamespace, file: file},
		clouds: ccm.Clouds(), cluster: "rig", unclassed: true,
	}
	v, err := p.cloudView(t.Context(), client, plan.Key{Namespace: "default", Name: "nlb-default"})
	if err != nil {
		t.Fatal(err)
	}
	if err := v.print(&out, time.Now()); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"network load balancer ae5cc7bb694724c608ab860b114e1cc1 [active, in step]", "listener 80: TCP [in step]",
		"ip-10-0-112-4.ec2.internal (i-7cbfe80ad3ee14399) [healthy]", "rule tcp 31120 from 0.0.0.0/0 [in step]",
		"addresses ae5cc7bb694724c608ab860b114e1cc1-8b0139ad1244eec5.elb.us-east-1.amazonaws.com",
	} {
		if !strings.Contains(out.String(), line) {
			t.Errorf("no line %q:\n%s", line, &out)
		}
	}
	c := cloud.Counts()
	if got := sim.Total(c.Reads); got != reads+1 || sim.Total(c.Writes) > 0 {
		t.Errorf("%d reads and %d writes, and a plan makes %d: %v", got, sim.Total(c.Writes), reads, c)
	}
}

// TestPlanNamesWhatTheCloudConfigCouldClaim: Services of the AWS Load Balancer
// Controller are no mystery, whether one of them is asked for or all.
func TestPlanNamesWhatTheCloudConfigCouldClaim(t *testing.T) {
	ownCredentials(t)
	_, file, client := awsSite(t, []string{"site"})
	for name, change := range map[string]func(*v1.Service){
		"typed":   func(svc *v1.Service) { svc.Annotations = map[string]string{intent.KeyAWSType: "external"} },
		"classed": func(svc *v1.Service) { svc.Spec.LoadBalancerClass = new(intent.AWSControllerClass) },
		"cluster": func(svc *v1.Service) {
			svc.Spec.Type, svc.Annotations = v1.ServiceTypeClusterIP, map[string]string{intent.KeyAWSType: "external"}
		},
	} {
		svc := &v1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: name}, Spec: v1.ServiceSpec{Type: v1.ServiceTypeLoadBalancer}}
		change(svc)
		if _, err := client.CoreV1().Services("shop").Create(t.Context(), svc, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if err := client.CoreV1().Services("default").Delete(t.Context(), "nlb-default", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	ours := func(p *planner) { p.from.file, p.cluster = file, "rig" }
	const all = "No Service is ours: none of type LoadBalancer is without a loadBalancerClass or has fairlead.dev/aws, but for those that ask for the AWS Load Balancer Controller by type or class, 2 in all; set aws.loadBalancerController.claim: true in the cloud-config to plan for them.\n"
	if out, err := planned(t, client, ours); err != nil || out != all {
		t.Errorf("got %q and %v", out, err)
	}
	for name, by := range map[string]string{"typed": "type", "classed": "class"} {
		_, err := planned(t, client, ours, name)
		want := "plan shop/" + name + ": the Service asks for the AWS Load Balancer Controller by its " + by + ", and the cloud-config does not claim its Services; set aws.loadBalancerController.claim: true to plan for them"
		if err == nil || err.Error() != want {
			t.Errorf("got %v\nwant %s", err, want)
		}
	}
}

// TestPlanWithoutCredentialsAsksItsUserForThem, not the controller's owner.
func TestPlanWithoutCredentialsAsksItsUserForThem(t *testing.T) {
	ownCredentials(t)
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	_, file, client := awsSite(t, []string{"site"})
	_, err := planned(t, client, func(p *planner) { p.from.file, p.cluster = file, "rig" })
	if err == nil || !strings.Contains(err.Error(), "AWS_PROFILE") || strings.Contains(err.Error(), "controller") {
		t.Errorf("got %v", err)
	}
}
