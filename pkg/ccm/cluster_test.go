// SPDX-License-Identifier: Apache-2.0

package ccm_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	v1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes"

	"github.com/fairlead/fairlead/test/controlplane"
	"github.com/fairlead/fairlead/test/controlplane/binaries"
)

const metalConfig = `apiVersion: config.fairlead.dev/v1alpha1
kind: CloudConfig
metal:
  pools:
  - name: public
    addresses: [192.0.2.0/24]
`

// cluster is a control plane with a client, and the binary of the command.
type cluster struct {
	*controlplane.ControlPlane
	*kubernetes.Clientset
	kubeconfig string
	binary     string
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	cp := controlplane.ForTest(t, controlplane.Options{})
	client, err := kubernetes.NewForConfig(cp.Config())
	if err != nil {
		t.Fatal(err)
	}
	kubeconfig, err := cp.Kubeconfig(controlplane.Admin)
	if err != nil {
		t.Fatal(err)
	}
	return &cluster{ControlPlane: cp, Clientset: client, kubeconfig: kubeconfig}
}

// build builds the command once for the test.
func (c *cluster) build(t *testing.T) {
	t.Helper()
	root, err := binaries.Root()
	if err != nil {
		t.Fatal(err)
	}
	c.binary = filepath.Join(t.TempDir(), "fairlead-controller-manager")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", c.binary, "./cmd/fairlead-controller-manager") //nolint:gosec // G204: our own path.
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the command: %v\n%s", err, out)
	}
}

// manager is a running command.
type manager struct {
	cmd    *exec.Cmd
	exited chan struct{}
	log    string // file of stdout and stderr
}

// start runs the command with the metal provider.
func (c *cluster) start(t *testing.T, name string, flags ...string) *manager {
	t.Helper()
	conf := writeConfig(t, metalConfig)
	m := &manager{exited: make(chan struct{}), log: filepath.Join(t.ArtifactDir(), name+".log")}
	out, err := os.Create(m.log)
	if err != nil {
		t.Fatal(err)
	}
	flags = append([]string{
		"--kubeconfig=" + c.kubeconfig, "--cloud-provider=metal", "--cloud-config=" + conf, "--secure-port=0", "-v=2",
	}, flags...)
	m.cmd = exec.Command(c.binary, flags...) //nolint:gosec,noctx // G204: our own binary, ended by its pid
	m.cmd.Stdout, m.cmd.Stderr = out, out
	if err := m.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(m.exited)
		_ = m.cmd.Wait() // the exit code is in ProcessState
		_ = out.Close()
	}()
	t.Cleanup(func() {
		_ = m.cmd.Process.Kill()
		<-m.exited
		if t.Failed() {
			t.Logf("%s wrote:\n%s", name, tail(m.log))
		}
	})
	return m
}

// term asks the command to end and returns its exit code.
func (m *manager) term(t *testing.T) int {
	t.Helper()
	if err := m.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	return m.wait(t)
}

// wait waits for the end of the command and returns its exit code.
func (m *manager) wait(t *testing.T) int {
	t.Helper()
	select {
	case <-m.exited:
	case <-time.After(20 * time.Second):
		t.Fatal("the command did not end in 20 s")
	}
	return m.cmd.ProcessState.ExitCode()
}

func tail(file string) string {
	data, err := os.ReadFile(file) //nolint:gosec // G304: a file of the test.
	if err != nil {
		return err.Error()
	}
	const most = 12000
	if len(data) > most {
		data = data[len(data)-most:]
	}
	return string(data)
}

func writeConfig(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "cloud.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// eventually waits until check returns nil.
func eventually(t *testing.T, limit time.Duration, check func(context.Context) error) {
	t.Helper()
	var last error
	err := wait.PollUntilContextTimeout(t.Context(), 20*time.Millisecond, limit, true, func(ctx context.Context) (bool, error) {
		last = check(ctx)
		return last == nil, nil
	})
	if err != nil {
		t.Fatalf("not within %s: %v", limit, last)
	}
}

// newService is a Service of type LoadBalancer; an empty class is none.
func newService(name, class string) *v1.Service {
	svc := &v1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name},
		Spec: v1.ServiceSpec{
			Type:  v1.ServiceTypeLoadBalancer,
			Ports: []v1.ServicePort{{Name: "http", Port: 80, Protocol: v1.ProtocolTCP}},
		},
	}
	if class != "" {
		svc.Spec.LoadBalancerClass = &class
	}
	return svc
}

func (c *cluster) create(t *testing.T, svc *v1.Service) *v1.Service {
	t.Helper()
	made, err := c.CoreV1().Services(svc.Namespace).Create(t.Context(), svc, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// get returns a Service of the namespace default.
func (c *cluster) get(ctx context.Context, name string) (*v1.Service, error) {
	return c.CoreV1().Services("default").Get(ctx, name, metav1.GetOptions{})
}

// served returns nil when the Service has an address.
func (c *cluster) served(ctx context.Context, name string) error {
	svc, err := c.get(ctx, name)
	if err != nil {
		return err
	}
	if len(svc.Status.LoadBalancer.Ingress) == 0 {
		return fmt.Errorf("Service %s has no address", name)
	}
	return nil
}
