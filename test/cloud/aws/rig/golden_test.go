// SPDX-License-Identifier: Apache-2.0

package rig_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairlead/fairlead/pkg/intent"
	awssim "github.com/fairlead/fairlead/test/cloud/aws"
	"github.com/fairlead/fairlead/test/cloud/aws/rig"
	"github.com/fairlead/fairlead/test/cloud/harness"
	"github.com/fairlead/fairlead/test/cloud/sim"
)

// left is a cluster and a cloud as cloud-provider-aws left them.
type left struct {
	sim     *awssim.Cloud
	cluster *harness.Cluster
	svc     *v1.Service
	*harness.Controller
}

// read decodes a file of the golden states.
func read(t *testing.T, into any, path ...string) {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(append([]string{"../testdata"}, path...)...))
	if err == nil {
		err = json.Unmarshal(data, into)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// goldenNames are states that cloud-provider-aws left.
func goldenNames(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("../testdata/*/service.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no golden states: %v", err)
	}
	for i, file := range files {
		files[i] = filepath.Base(filepath.Dir(file))
	}
	return files
}

// goldenConfig is the cloud.conf that a state was made with, and where the
// simulated cloud is.
func goldenConfig(t *testing.T, name, url string) string {
	t.Helper()
	var site struct {
		VPC     string
		Private []string
	}
	read(t, &site, "site", "site.json")
	manifest, err := os.ReadFile(filepath.Join("../testdata", name, "service.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("[Global]\nZone=us-east-1a\nVPC=%s\nSubnetID=%s\nKubernetesClusterID=rig\n", site.VPC, site.Private[0])
	for line := range strings.Lines(string(manifest)) {
		if key, ok := strings.CutPrefix(line, "# cloud-config: "); ok {
			text += key
		}
	}
	for i, service := range []string{"EC2", "Elastic Load Balancing", "Elastic Load Balancing v2"} {
		signing := "elasticloadbalancing"
		if service == "EC2" {
			signing = "ec2"
		}
		text += fmt.Sprintf("[ServiceOverride \"%d\"]\nService=%s\nRegion=us-east-1\nURL=%s\nSigningRegion=us-east-1\nSigningName=%s\n", i, service, url, signing)
	}
	return text
}

// takeOver lets our controller run where cloud-provider-aws ran.
func takeOver(t *testing.T, name string) *left {
	t.Helper()
	l := &left{sim: awssim.New(awssim.Options{}), cluster: harness.NewCluster(), svc: &v1.Service{}}
	var states [2]json.RawMessage
	var nodes []*v1.Node
	read(t, &states[0], "site", "state.json")
	read(t, &states[1], name, "state.json")
	read(t, &nodes, "site", "nodes.json")
	read(t, l.svc, name, "service.json")
	if err := l.sim.Seed(states[0], states[1]); err != nil {
		t.Fatal(err)
	}
	if err := harness.Replace(l.cluster.Nodes, nodes); err != nil {
		t.Fatal(err)
	}
	if err := harness.Replace(l.cluster.Services, []*v1.Service{l.svc}); err != nil {
		t.Fatal(err)
	}
	server := l.sim.Start()
	t.Cleanup(server.Close)
	var err error
	if l.Controller, err = rig.Starter(harness.Quiet(t), l.cluster, goldenConfig(t, name, server.URL)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

// sync looks at the Service as it is in the cluster.
func (l *left) sync(t *testing.T, change func(*v1.Service)) {
	t.Helper()
	obj, _, _ := l.cluster.Services.Get(l.svc)
	now, is := obj.(*v1.Service)
	if !is {
		t.Fatal("the Service is not there")
	}
	now = now.DeepCopy()
	change(now)
	if err := l.cluster.Services.Update(now); err != nil {
		t.Fatal(err)
	}
	if err := l.Sync(t.Context(), now); err != nil {
		t.Fatal(err)
	}
	if harness.Wants(now) {
		obj, _, _ = l.cluster.Services.Get(l.svc)
		now, _ = obj.(*v1.Service)
		if diff := cmp.Diff(l.svc.Status, now.Status); diff != "" && len(l.svc.Status.LoadBalancer.Ingress) > 0 {
			t.Errorf("the status changed (-was +is):\n%s", diff)
		}
	}
}

func (l *left) noWrites(t *testing.T, when string) {
	t.Helper()
	if c := l.sim.Counts(); sim.Total(c.Writes) != 0 {
		t.Errorf("%s writes:%s", when, harness.Counted(c.Writes))
	}
	l.sim.ResetCalls()
}

// What cloud-provider-aws made is adopted without a write, over the wire.
func TestGoldenStatesAreAdopted(t *testing.T) {
	for _, name := range goldenNames(t) {
		t.Run(name, func(t *testing.T) {
			l := takeOver(t, name)
			l.sync(t, func(*v1.Service) {})
			l.noWrites(t, "the start")
			l.sync(t, func(*v1.Service) {})
			l.noWrites(t, "a resync")
			if err := l.UpdateLoadBalancer(t.Context(), rig.Name, l.svc, nil); err != nil {
				t.Fatal(err)
			}
			l.noWrites(t, "a look because of nodes")
			l.sync(t, func(svc *v1.Service) { svc.Labels = map[string]string{"team": "web"} })
			l.noWrites(t, "a label")
			l.sync(t, func(svc *v1.Service) { metav1.SetMetaDataAnnotation(&svc.ObjectMeta, "example.com/note", "new") })
			l.noWrites(t, "an annotation of somebody's")
			l.sync(t, func(svc *v1.Service) { metav1.SetMetaDataAnnotation(&svc.ObjectMeta, intent.KeyRepair, "1") })
			if name == "nlb-managed-group" {
				// The nodes let in the group that all share, instead of addresses.
				if sim.Total(l.sim.Counts().Writes) == 0 {
					t.Error("asked to set right what differs, and nothing is written")
				}
				return
			}
			l.noWrites(t, "asked to set right what differs")
		})
	}
}

// What cloud-provider-aws made goes when its Service does, in every way.
func TestGoldenStatesGoWithoutATrace(t *testing.T) {
	for _, name := range goldenNames(t) {
		for way, change := range map[string]func(*v1.Service){
			"deleted": func(svc *v1.Service) { svc.DeletionTimestamp = new(metav1.Unix(1, 0)) },
			"deleted without annotations": func(svc *v1.Service) {
				svc.DeletionTimestamp = new(metav1.Unix(1, 0))
				clear(svc.Annotations)
			},
			"inside alone": func(svc *v1.Service) {
				svc.Spec.Type = v1.ServiceTypeClusterIP
				clear(svc.Annotations)
			},
		} {
			t.Run(name+" "+way, func(t *testing.T) {
				l := takeOver(t, name)
				bare := awssim.New(awssim.Options{})
				var site json.RawMessage
				read(t, &site, "site", "state.json")
				if err := bare.Seed(site); err != nil {
					t.Fatal(err)
				}
				l.sync(t, change)
				if diff := cmp.Diff(normalised(t, bare), normalised(t, l.sim)); diff != "" {
					t.Errorf("something is left (-before +after):\n%s", diff)
				}
			})
		}
	}
}

// What we make is what cloud-provider-aws makes, so that it can take over again:
// all that it made is deleted and made anew by us. What the states say of it is
// there in each field; they are of an emulator that leaves some out, and we
// write more tags.
func TestWhatIsMadeIsWhatThePeerMakes(t *testing.T) {
	for _, name := range goldenNames(t) {
		if name == "nlb-managed-group" {
			continue // there our nodes let in a group, and not addresses
		}
		t.Run(name, func(t *testing.T) {
			l := takeOver(t, name)
			want := normalised(t, l.sim)
			l.sync(t, func(svc *v1.Service) { svc.DeletionTimestamp = new(metav1.Unix(1, 0)) })
			l.svc.Status = v1.ServiceStatus{}
			if err := l.cluster.Services.Add(l.svc); err != nil {
				t.Fatal(err)
			}
			l.sync(t, func(*v1.Service) {})
			var theirs, made any
			if err := errors.Join(json.Unmarshal([]byte(want), &theirs), json.Unmarshal([]byte(normalised(t, l.sim)), &made)); err != nil {
				t.Fatal(err)
			}
			if lacks := lacking("", theirs, made); lacks != "" {
				t.Errorf("we do not make %s", lacks)
			}
		})
	}
}

// unlike are fields that the states do not have as AWS has them.
func unlike() []string {
	return []string{"AvailabilityZones", "SourceSecurityGroup", "AvailableIpAddressCount", "CanonicalHostedZoneId"}
}

// lacking is where the first thing is that theirs has and ours lacks; empty when
// there is none. A list may have more.
func lacking(at string, theirs, made any) string {
	switch v := theirs.(type) {
	case map[string]any:
		m, ok := made.(map[string]any)
		for _, key := range slices.Sorted(maps.Keys(v)) {
			if slices.Contains(unlike(), key) {
				continue
			}
			if lacks := lacking(at+"."+key, v[key], m[key]); !ok || lacks != "" {
				return lacks
			}
		}
	case []any:
		list, _ := made.([]any)
		if len(list) < len(v) {
			return fmt.Sprintf("%s: %d of %d", at, len(v)-len(list), len(v))
		}
		for i, element := range v {
			if !slices.ContainsFunc(list, func(other any) bool { return lacking("", element, other) == "" }) {
				return fmt.Sprintf("%s[%d]: %v, such as %s", at, i, element, lacking("", element, list[min(i, len(list)-1)]))
			}
		}
	default:
		if theirs != made {
			return fmt.Sprintf("%s: %v is %v", at, theirs, made)
		}
	}
	return ""
}

// normalised is the state of a cloud as text.
func normalised(t *testing.T, cloud *awssim.Cloud) string {
	t.Helper()
	text, err := awssim.Normalise(cloud.State())
	if err != nil {
		t.Fatal(err)
	}
	return text
}
