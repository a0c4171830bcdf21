// SPDX-License-Identifier: Apache-2.0

package ccm_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
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

// TestMain deletes the binary that tests share.
func TestMain(m *testing.M) {
	m.Run()
	_ = os.RemoveAll(binDir)
}

// The command is built once, by the first test that runs it.
var (
	binDir   = filepath.Join(os.TempDir(), fmt.Sprintf("fairlead-ccm-test-%d", os.Getpid()))
	buildCmd = sync.OnceValue(func() error {
		root, err := binaries.Root()
		if err != nil {
			return err
		}
		build := exec.Command("go", "build", "-o", binDir+"/", "./cmd/fairlead-controller-manager")
		build.Dir = root
		if out, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("build the command: %w\n%s", err, out)
		}
		return nil
	})
)

// build makes the binary of the command available.
func (c *cluster) build(t *testing.T) {
	t.Helper()
	if err := buildCmd(); err != nil {
		t.Fatal(err)
	}
	c.binary = filepath.Join(binDir, "fairlead-controller-manager")
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
		"--kubeconfig=" + c.kubeconfig, "--cloud-provider=metal", "--cloud-config=" + conf, "--secure-port=0",
	}, flags...)
	m.cmd = exec.Command(c.binary, flags...)
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
	case <-time.After(limit):
		t.Fatalf("the command did not end in %s", limit)
	}
	return m.cmd.ProcessState.ExitCode()
}

func tail(file string) string {
	data, err := os.ReadFile(file)
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
