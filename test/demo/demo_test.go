// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/fairlead/fairlead/test/controlplane/binaries"
	"github.com/fairlead/fairlead/test/inputs"
)

// dirVariable tells the process that stays where the test wants its files. It
// is the test binary once more.
const dirVariable = "FAIRLEAD_DEMO_TEST_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(dirVariable); dir != "" && len(os.Args) == 2 && os.Args[1] == keepVerb {
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
		err := keep(ctx, testPaths(dir))
		stop()
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// testPaths are those of a demo in a directory of a test, which also holds our
// binaries.
func testPaths(dir string) paths {
	root, err := binaries.Root()
	if err != nil {
		panic(err)
	}
	return paths{root: root, bin: dir, dir: filepath.Join(dir, "demo"), cloud: cloudMetal}
}

// buildInto builds packages of main into the directory of binaries.
func buildInto(t *testing.T, p paths, packages ...string) {
	t.Helper()
	if err := inputs.Note("cmd", "pkg", "test/cloud"); err != nil {
		t.Fatal(err)
	}
	build := exec.CommandContext(t.Context(), "go", append([]string{"build", "-o", p.bin + string(filepath.Separator)}, packages...)...)
	build.Dir = p.root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
}

func TestDemo(t *testing.T) {
	p := testPaths(t.TempDir())
	buildInto(t, p, "./cmd/"+controllerName, "./cmd/"+speakerName)
	t.Run("tells the whole story", func(t *testing.T) { tellsTheStory(t, p, story()) })
	t.Run("an interrupt ends everything", func(t *testing.T) { interrupted(t, p) })
	t.Run("a program that ends is a failure", func(t *testing.T) { programEnds(t, p) })
	t.Run("stays when asked to, until it is told to end", func(t *testing.T) { stays(t, p) })
}

// act is a part of the story.
type act struct {
	title string
	lines []string // patterns, in any order: some things happen side by side
}

// story is what must be told, act by act.
func story() []act {
	return []act{
		{"1. A cluster and a router", []string{
			`ok +router listens at 127\.0\.0\.1:\d+, AS 65559$`,
			`ok +Kubernetes v1\.\d+\.\d+ serves at https://127\.0\.0\.1:\d+$`,
		}},
		{"2. Fairlead is installed", []string{`ok +\d\d objects applied$`}},
		{"3. Three nodes, three speakers", []string{
			`node +node-1 is initialized: metal://node-1$`,
			`node +node-2 is initialized: metal://node-2$`,
			`node +node-3 is initialized: metal://node-3$`,
			`router BGP session with 127\.0\.0\.11 is up$`,
			`router BGP session with 127\.0\.0\.12 is up$`,
			`router BGP session with 127\.0\.0\.13 is up$`,
		}},
		{"4. Two Services of type LoadBalancer", []string{
			`pod +whoami-\S+ is ready on node-2`,
			`svc +NAME +TYPE +CLUSTER-IP +EXTERNAL-IP +PORT\(S\)$`,
			`svc +whoami-lb +LoadBalancer +10\.96\.\d+\.\d+ +<pending> +80:\d+/TCP$`,
			`svc +whoami-lb +LoadBalancer +10\.96\.\d+\.\d+ +1\.2\.3\.4 +80:\d+/TCP$`,
			`event +whoami-lb +AddressAllocated: 1\.2\.3\.4 from pool public-pool$`,
			`event +whoami-lb +EnsuredLoadBalancer: `,
			`router 1\.2\.3\.4/32 +via 127\.0\.0\.11, 127\.0\.0\.12, 127\.0\.0\.13$`,
			`svc +traefik-ingress +LoadBalancer +10\.96\.\d+\.\d+ +1\.2\.3\.5 +80:\d+/TCP,443:\d+/TCP$`,
			`router 1\.2\.3\.5/32 +via 127\.0\.0\.11$`,
		}},
		{"5. A mistake is refused when it is made", []string{
			`refused: annotation fairlead\.dev/address-pol is not known; did you mean fairlead\.dev/address-pool\?$`,
		}},
		{"6. Endpoints go away", []string{
			`pod +whoami-\S+ on node-2 is gone$`,
			`router 1\.2\.3\.4/32 +via 127\.0\.0\.11, 127\.0\.0\.13$`,
			`pod +traefik-\S+ on node-1 is gone$`,
			`router 1\.2\.3\.5/32 +via 127\.0\.0\.12$`,
		}},
		{"7. A Service is deleted", []string{
			`router 1\.2\.3\.4/32 +is gone$`,
			`svc +whoami-lb +is gone$`,
			`event +whoami-lb +DeletedLoadBalancer: `,
		}},
		{"What was seen", []string{`^ +whoami-lb had its address \d+ ms after`, `All of it has ended\.`}},
	}
}

func tellsTheStory(t *testing.T, p paths, acts []act) {
	t.Helper()
	var out bytes.Buffer
	err := runOnce(t.Context(), p, &out)
	t.Logf("the story:\n%s", out.String())
	if err != nil {
		t.Fatal(err)
	}
	rest := strings.ReplaceAll(out.String(), "\n"+strings.Repeat(" ", hangingIndent), " ")
	for i, a := range acts {
		_, after, found := strings.Cut(rest, "\n"+a.title+"\n")
		if !found {
			t.Fatalf("there is no %q where it should be", a.title)
		}
		told := after
		if i+1 < len(acts) {
			told, _, _ = strings.Cut(after, "\n"+acts[i+1].title+"\n")
		}
		for _, want := range a.lines {
			if !regexp.MustCompile("(?m)" + want).MatchString(told) {
				t.Errorf("%s: no line matches %q", a.title, want)
			}
		}
		rest = after[len(told):]
	}
	for line := range strings.SplitSeq(out.String(), "\n") {
		if utf8.RuneCountInString(line) > hangingIndent+lineWidth {
			t.Errorf("a line of %d characters: %q", len(line), line)
		}
	}
	nothingRuns(t, p)
}

// trigger calls fire when a text is written.
type trigger struct {
	mu   sync.Mutex
	text string
	seen bytes.Buffer
	fire func()
}

// Write never fails.
func (w *trigger) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.seen.Write(b)
	if w.fire != nil && bytes.Contains(w.seen.Bytes(), []byte(w.text)) {
		w.fire()
		w.fire = nil
	}
	return len(b), nil
}

func interrupted(t *testing.T, p paths) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	err := runOnce(ctx, p, &trigger{text: "is ready on", fire: cancel})
	if err == nil || !strings.Contains(err.Error(), "interrupted") {
		t.Errorf("got %v", err)
	}
	nothingRuns(t, p)
}

// programEnds runs with a speaker that cannot start.
func programEnds(t *testing.T, p paths) {
	t.Helper()
	broken := p
	broken.bin = t.TempDir()
	for name, target := range map[string]string{controllerName: filepath.Join(p.bin, controllerName), speakerName: "/bin/false"} {
		if err := os.Symlink(target, filepath.Join(broken.bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	err := runOnce(t.Context(), broken, &bytes.Buffer{})
	if want := "fairlead-speaker-node-1 has ended"; err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), broken.logs()) {
		t.Errorf("got %v, want %q and where the logs are", err, want)
	}
	nothingRuns(t, p)
}

func stays(t *testing.T, p paths) {
	t.Helper()
	t.Setenv(dirVariable, p.bin)
	var out bytes.Buffer
	if err := detach(t.Context(), p, &out); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	defer func() { _ = down(context.Background(), p, &bytes.Buffer{}) }()
	kubeconfig := regexp.MustCompile(`KUBECONFIG=(\S+)`).FindStringSubmatch(out.String())
	if kubeconfig == nil {
		t.Fatalf("it does not tell its kubeconfig:\n%s", out.String())
	}
	if err := askReady(t, kubeconfig[1]); err != nil {
		t.Errorf("it does not stay: %v", err)
	}
	for name, second := range map[string]func(context.Context, paths, *bytes.Buffer) error{
		"up":      func(ctx context.Context, p paths, b *bytes.Buffer) error { return runOnce(ctx, p, b) },
		"up KEEP": func(ctx context.Context, p paths, b *bytes.Buffer) error { return detach(ctx, p, b) },
	} {
		if err := second(t.Context(), p, &bytes.Buffer{}); err == nil || !strings.Contains(err.Error(), "make demo-down") {
			t.Errorf("a second %s: got %v", name, err)
		}
	}
	for _, want := range []string{"has ended", "No demo runs."} {
		out.Reset()
		if err := down(t.Context(), p, &out); err != nil || !strings.Contains(out.String(), want) {
			t.Errorf("down: got %v and %q, want %q", err, out.String(), want)
		}
	}
	nothingRuns(t, p)
}

// askReady asks the API server of a kubeconfig whether it is ready.
func askReady(t *testing.T, kubeconfig string) error {
	t.Helper()
	cfg, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return err
	}
	client, err := rest.HTTPClientFor(cfg)
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()
	resp, err := client.Get(cfg.Host + "/readyz")
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	return nil
}

// nothingRuns fails when a program of the demo is left. All of them have its
// directory among their arguments.
func nothingRuns(t *testing.T, p paths) {
	t.Helper()
	late := time.Now().Add(time.Minute) // the process that stayed is about to exit
	for {
		left := running(t, p.dir)
		if len(left) == 0 {
			return
		}
		if time.Now().After(late) {
			t.Fatalf("left running: %q", left)
		}
		select {
		case <-t.Context().Done():
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func running(t *testing.T, argument string) []string {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, file := range files {
		if line, err := os.ReadFile(file); err == nil && bytes.Contains(line, []byte(argument)) {
			out = append(out, string(bytes.ReplaceAll(line, []byte{0}, []byte{' '})))
		}
	}
	return out
}
