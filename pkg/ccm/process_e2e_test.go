// SPDX-License-Identifier: Apache-2.0

package ccm_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fairlead/fairlead/test/freeport"
)

func TestCloudConfigIsAppliedWithoutARestart(t *testing.T) {
	c := newCluster(t)
	c.build(t)
	conf := filepath.Join(t.TempDir(), "cloud.yaml")
	small := strings.Replace(metalConfig, "192.0.2.0/24", "192.0.2.1/32", 1)
	if err := os.WriteFile(conf, []byte(small), 0o600); err != nil {
		t.Fatal(err)
	}
	c.start(t, "manager", "--cloud-config="+conf)
	c.create(t, newService("first", ""))
	eventually(t, limit, func(ctx context.Context) error { return c.served(ctx, "first") })
	c.create(t, newService("second", ""))
	eventually(t, limit, func(ctx context.Context) error {
		svc, err := c.get(ctx, "second")
		if err == nil && len(svc.Status.Conditions) == 0 {
			return fmt.Errorf("Service second has no condition")
		}
		return err
	})
	if err := os.WriteFile(conf, []byte(metalConfig), 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, limit, func(ctx context.Context) error { return c.served(ctx, "second") })
}

func TestUnusableCloudConfigEndsTheStart(t *testing.T) {
	c := &cluster{kubeconfig: "none"}
	c.build(t)
	conf := writeConfig(t, strings.Replace(metalConfig, "metal:", "mettal:", 1))
	m := c.start(t, "manager", "--cloud-config="+conf)
	if code := m.wait(t); code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	if err := m.logged("mettal")(t.Context()); err != nil {
		t.Error(err)
	}
}

// Trap 13: health answers on a standby too, and metrics ask who it is.
func TestHealthOfLeaderAndStandby(t *testing.T) {
	c := newCluster(t)
	c.build(t)
	ports := map[string]uint16{"leader": freePort(t), "standby": freePort(t)}
	for _, name := range []string{"leader", "standby"} {
		c.start(t, name, fmt.Sprintf("--secure-port=%d", ports[name]), "--bind-address=127.0.0.1",
			"--authentication-kubeconfig="+c.kubeconfig, "--authorization-kubeconfig="+c.kubeconfig)
		eventually(t, limit, c.heldBy(someone))
	}
	for name, port := range ports {
		for path, want := range map[string]int{"/healthz": 200, "/livez": 200, "/readyz": 200, "/metrics": 403, "/configz": 403} {
			url := fmt.Sprintf("https://127.0.0.1:%d%s", port, path)
			eventually(t, limit, func(ctx context.Context) error {
				code, _, err := fetch(ctx, url, "")
				if err == nil && code != want {
					err = fmt.Errorf("%s: %s answers %d, want %d", name, path, code, want)
				}
				return err
			})
		}
	}
	c.create(t, newService("web", ""))
	eventually(t, limit, func(ctx context.Context) error { return c.served(ctx, "web") })
	// The Service is answered before its pass is counted.
	eventually(t, limit, c.shows(ports["leader"], func(body string) error {
		for _, metric := range []string{"running_managed_controllers", "leader_election_master_status", "fairlead_pass_seconds", "fairlead_ipam_pool_addresses_in_use", "rest_client_requests_total", "workqueue_depth"} {
			if !strings.Contains(body, metric) {
				return fmt.Errorf("no metric %s", metric)
			}
		}
		return nil
	}))
}

// shows returns nil when the metrics at a port satisfy a check.
func (c *cluster) shows(port uint16, check func(body string) error) func(context.Context) error {
	return func(ctx context.Context) error {
		code, body, err := fetch(ctx, fmt.Sprintf("https://127.0.0.1:%d/metrics", port), c.Config().BearerToken)
		switch {
		case err != nil:
			return err
		case code != http.StatusOK:
			return fmt.Errorf("metrics: %d", code)
		}
		return check(body)
	}
}

func fetch(ctx context.Context, url, token string) (int, string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, "", err
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	client := http.Client{Transport: &http.Transport{
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true},
		DisableKeepAlives: true,
	}}
	resp, err := client.Do(req)
	if err != nil {
		return 0, "", err
	}
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	return resp.StatusCode, string(body), err
}

func freePort(t *testing.T) uint16 {
	t.Helper()
	return freeport.ForTest(t, netip.MustParseAddr("127.0.0.1"))
}

// Trap 12: at upstream's 20 requests a second the 3 writes of each node would
// wait for one another.
func TestTrap12NodesAreNotLimitedByTheClient(t *testing.T) {
	const nodes = 300
	c := newCluster(t)
	c.build(t)
	port := freePort(t)
	c.start(t, "manager", fmt.Sprintf("--secure-port=%d", port), "--bind-address=127.0.0.1",
		"--authentication-kubeconfig="+c.kubeconfig, "--authorization-kubeconfig="+c.kubeconfig)
	eventually(t, limit, c.heldBy(someone))
	begin := time.Now()
	for i := range nodes {
		node := &v1.Node{
			ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("n%03d", i)},
			Spec:       v1.NodeSpec{Taints: []v1.Taint{{Key: "node.cloudprovider.kubernetes.io/uninitialized", Effect: v1.TaintEffectNoSchedule}}},
			Status: v1.NodeStatus{
				Addresses:  []v1.NodeAddress{{Type: v1.NodeInternalIP, Address: fmt.Sprintf("10.0.%d.%d", i/250, 1+i%250)}},
				Conditions: []v1.NodeCondition{{Type: v1.NodeReady, Status: v1.ConditionTrue}},
			},
		}
		if _, err := c.CoreV1().Nodes().Create(t.Context(), node, metav1.CreateOptions{}); err != nil && !apierrors.IsAlreadyExists(err) {
			t.Fatal(err)
		}
	}
	eventually(t, 2*limit, func(ctx context.Context) error {
		list, err := c.CoreV1().Nodes().List(ctx, metav1.ListOptions{ResourceVersion: "0"})
		if err != nil {
			return err
		}
		for _, n := range list.Items {
			if n.Spec.ProviderID != "metal://"+n.Name || hasTaint(n) {
				return fmt.Errorf("node %s is not initialised: providerID %q, taints %v", n.Name, n.Spec.ProviderID, n.Spec.Taints)
			}
		}
		return nil
	})
	t.Logf("%d nodes made and initialised within %s", nodes, time.Since(begin).Round(time.Millisecond))
	if err := c.shows(port, waitedForTurns)(t.Context()); err != nil {
		t.Error(err)
	}
}

// waitedForTurns returns nil when requests to the API server hardly waited for
// the client's own limit, however long they took.
func waitedForTurns(metrics string) error {
	const most = 10.0 // seconds; at upstream's limit more than a thousand
	sum, found := 0.0, false
	for line := range strings.Lines(metrics) {
		if !strings.HasPrefix(line, "rest_client_rate_limiter_duration_seconds_sum") {
			continue
		}
		fields := strings.Fields(line)
		seconds, err := strconv.ParseFloat(fields[len(fields)-1], 64)
		if err != nil {
			return err
		}
		sum, found = sum+seconds, true
	}
	if !found || sum > most {
		return fmt.Errorf("requests waited %.1f s in all for the client's limit, want %.0f s at most", sum, most)
	}
	return nil
}

func hasTaint(n v1.Node) bool {
	for _, taint := range n.Spec.Taints {
		if taint.Key == "node.cloudprovider.kubernetes.io/uninitialized" {
			return true
		}
	}
	return false
}
