// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	awssim "github.com/fairlead/fairlead/test/cloud/aws"
	"github.com/fairlead/fairlead/test/cloud/aws/web"
)

// leftByPeer reads a file of what cloud-provider-aws left.
func leftByPeer(t *testing.T, into any, path ...string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(append([]string{"..", "cloud", "aws", "testdata"}, path...)...))
	if err != nil {
		t.Fatal(err)
	}
	if into != nil {
		if err := json.Unmarshal(text, into); err != nil {
			t.Fatal(err)
		}
	}
	return text
}

// adoptsAWS starts the controller manager where cloud-provider-aws was, and
// again: nothing is written.
func adoptsAWS(t *testing.T, bin, state string) {
	t.Helper()
	var svc v1.Service
	var nodes []*v1.Node
	var vpc struct {
		VPC     string
		Private []string
	}
	leftByPeer(t, &svc, state, "service.json")
	leftByPeer(t, &nodes, "site", "nodes.json")
	leftByPeer(t, &vpc, "site", "site.json")
	var more []string
	for line := range strings.Lines(string(leftByPeer(t, nil, state, "service.yaml"))) {
		if key, ok := strings.CutPrefix(line, "# cloud-config: "); ok {
			more = append(more, strings.TrimSpace(key))
		}
	}
	cloud := awssim.New(awssim.Options{})
	s := newAWSStand(t, bin, cloud, &awssim.Site{Cluster: web.ClusterName, VPC: vpc.VPC, Private: vpc.Private}, more...)
	for _, n := range nodes {
		n.ResourceVersion, n.UID = "", ""
		s.createNode(t, n)
	}
	services := []*v1.Service{&svc}
	text := s.recreate(t, services).Replace(string(leftByPeer(t, nil, state, "state.json")))
	now, err := s.admin.CoreV1().Services(svc.Namespace).Get(t.Context(), svc.Name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	text = strings.NewReplacer(groupHash(&svc), groupHash(now)).Replace(text)
	if err := cloud.Seed(leftByPeer(t, nil, "site", "state.json"), []byte(text)); err != nil {
		t.Fatal(err)
	}
	now.Status.LoadBalancer.Ingress[0].Hostname = strings.ReplaceAll(svc.Status.LoadBalancer.Ingress[0].Hostname, baseName(svc.UID), baseName(now.UID))
	if now, err = s.admin.CoreV1().Services(svc.Namespace).UpdateStatus(t.Context(), now, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	before := s.balancing(t)
	says(t, s.plan(t, 0, "--all"), "Nothing to do.")

	for i := range int32(2) {
		manager := s.manage(t)
		s.awaitEnsured(t, services, i+1)
		manager.stop(t)
	}

	if writes := s.writes(); len(writes) > 0 {
		t.Errorf("written to AWS: %q", writes)
	}
	if after := s.balancing(t); after != before {
		t.Errorf("AWS went from\n%s\nto\n%s", before, after)
	}
	had := now.Status.LoadBalancer
	if now, err = s.admin.CoreV1().Services(svc.Namespace).Get(t.Context(), svc.Name, metav1.GetOptions{}); err != nil ||
		fmt.Sprint(now.Status.LoadBalancer) != fmt.Sprint(had) {
		t.Errorf("the status was %+v and is %+v (%v)", had, now.Status.LoadBalancer, err)
	}
}

// groupHash ends the name of the security group of a Service's own: the peer's
// rule.
func groupHash(svc *v1.Service) string {
	sum := sha256.Sum256([]byte(web.ClusterName + svc.Name + svc.Namespace + string(svc.UID)))
	return hex.EncodeToString(sum[:])[:10]
}
