// SPDX-License-Identifier: Apache-2.0

package cloudconfig

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// told is one call of apply.
type told struct {
	pools string
	err   error
}

// following runs a watcher in the background until the test ends, and checks
// that nothing of it is left then.
func following(t *testing.T, watch func(ctx context.Context, apply func(*Config, error))) <-chan told {
	t.Helper()
	before := goleak.IgnoreCurrent()
	ctx, cancel := context.WithCancel(t.Context())
	calls, done := make(chan told, 100), make(chan struct{})
	go func() {
		defer close(done)
		watch(ctx, func(c *Config, err error) {
			call := told{err: err}
			if c != nil {
				var names []string
				for _, p := range c.Metal.Pools {
					names = append(names, p.Name)
				}
				call.pools = strings.Join(names, " ")
			}
			calls <- call
		})
	}()
	t.Cleanup(func() {
		cancel()
		select {
		case <-done:
		case <-time.After(time.Minute):
			t.Error("the watcher does not end with its context")
		}
		goleak.VerifyNone(t, before)
	})
	return calls
}

// notified is Watch without its polls, so that what is found was told of.
func notified(file string) func(ctx context.Context, apply func(*Config, error)) {
	return func(ctx context.Context, apply func(*Config, error)) {
		w := watcher{file: file, apply: apply, poll: time.Hour}
		w.follow(ctx)
	}
}

// next waits for the next call.
func next(t *testing.T, calls <-chan told) told {
	t.Helper()
	select {
	case c := <-calls:
		return c
	case <-time.After(time.Minute):
		t.Fatal("no call of apply")
		return told{}
	}
}

// expect waits for a call with these pools and no error.
func expect(t *testing.T, calls <-chan told, pools string) {
	t.Helper()
	if got := next(t, calls); got.err != nil || got.pools != pools {
		t.Fatalf("got pools %q, error %v; want pools %q", got.pools, got.err, pools)
	}
}

// expectError waits for a call with an error and the last good pools.
func expectError(t *testing.T, calls <-chan told, part, pools string) {
	t.Helper()
	got := next(t, calls)
	if got.err == nil || !strings.Contains(got.err.Error(), part) || got.pools != pools {
		t.Fatalf("got pools %q, error %v; want pools %q, error with %q", got.pools, got.err, pools, part)
	}
}

func fileWith(pools ...string) string {
	var b strings.Builder
	b.WriteString("apiVersion: " + APIVersion + "\nkind: " + Kind + "\nmetal:\n  pools:\n")
	for i, name := range pools {
		b.WriteString("  - {name: " + name + ", addresses: [192.0.2." + string(rune('1'+i)) + "]}\n")
	}
	return b.String()
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func rename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}

func TestWatchSeesAnAtomicRename(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.yaml")
	write(t, file, fileWith("a"))
	calls := following(t, notified(file))
	expect(t, calls, "a")
	for _, pools := range []string{"b", "c"} { // the second shows that the watch goes on
		write(t, file+".new", fileWith(pools))
		rename(t, file+".new", file)
		expect(t, calls, pools)
	}
}

func TestWatchSeesAWriteInPlace(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.yaml")
	write(t, file, fileWith("a"))
	calls := following(t, notified(file))
	expect(t, calls, "a")
	write(t, file, fileWith("a", "b"))
	got := next(t, calls)
	for got.err != nil { // the file was seen half written
		got = next(t, calls)
	}
	if got.pools != "a b" {
		t.Errorf("got pools %q", got.pools)
	}
}

// TestWatchSeesAMountedConfigMapChange does what the kubelet does: the file is
// a link to ..data/config, and ..data is a link that is replaced.
func TestWatchSeesAMountedConfigMapChange(t *testing.T) {
	dir := t.TempDir()
	mount := func(version, text string) {
		t.Helper()
		if err := os.Mkdir(filepath.Join(dir, version), 0o750); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, version, "config"), text)
		if err := os.Symlink(version, filepath.Join(dir, "..data_tmp")); err != nil {
			t.Fatal(err)
		}
		rename(t, filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data"))
	}
	mount("..1", fileWith("a"))
	file := filepath.Join(dir, "config")
	if err := os.Symlink(filepath.Join("..data", "config"), file); err != nil {
		t.Fatal(err)
	}
	calls := following(t, notified(file))
	expect(t, calls, "a")
	mount("..2", fileWith("b"))
	expect(t, calls, "b")
	mount("..3", fileWith("b")) // same content: not a change
	mount("..4", fileWith("c"))
	expect(t, calls, "c")
}

func TestWatchKeepsTheLastGoodConfig(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.yaml")
	write(t, file, fileWith("a"))
	calls := following(t, notified(file))
	expect(t, calls, "a")
	write(t, file+".new", "metal: [")
	rename(t, file+".new", file)
	expectError(t, calls, "this is not YAML", "a")
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	expectError(t, calls, "no such file", "a")
	write(t, file+".new", fileWith("a"))
	rename(t, file+".new", file)
	expect(t, calls, "a") // told again, so that the end of the error is seen
}

func TestWatchKeepsAnObjectThatAnEditBroke(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.yaml")
	write(t, file, fileWith("a", "b"))
	calls := following(t, notified(file))
	expect(t, calls, "a b")
	write(t, file+".new", strings.Replace(fileWith("a", "b", "c"), "192.0.2.1", "192.0.2.1000", 1))
	rename(t, file+".new", file)
	expect(t, calls, "a b c")
}

func TestWatchStartsWithoutAFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.yaml")
	calls := following(t, notified(file))
	expectError(t, calls, "no such file", "")
	write(t, file+".new", fileWith("a"))
	rename(t, file+".new", file)
	expect(t, calls, "a")
}

func TestPollFindsWhatNoNotificationTells(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.yaml")
	write(t, file, fileWith("a"))
	polls := make(chan struct{})
	calls := following(t, func(ctx context.Context, apply func(*Config, error)) {
		w := watcher{file: file, apply: apply, poll: 10 * time.Millisecond}
		w.rewatch = func() {
			select {
			case polls <- struct{}{}:
			case <-ctx.Done():
			}
		}
		w.run(ctx, nil, nil)
	})
	<-polls // the look at the start
	expect(t, calls, "a")
	write(t, file+".new", fileWith("b"))
	rename(t, file+".new", file)
	<-polls
	expect(t, calls, "b")
	for range 10 {
		<-polls
	}
	select {
	case c := <-calls:
		t.Errorf("told of no change: %+v", c)
	default:
	}
}
