// SPDX-License-Identifier: Apache-2.0

package cloudconfig

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// pollInterval finds what notifications miss, such as changes on a network
	// file system or behind a link to another directory.
	pollInterval = 10 * time.Second
	// settleTime lets the writes of one edit be read at once.
	settleTime = 50 * time.Millisecond
)

// Load reads and parses a file.
func Load(file string) (*Config, error) {
	data, err := os.ReadFile(file) //nolint:gosec // G304: the file is the user's choice.
	if err != nil {
		return nil, fmt.Errorf("read cloud-config: %w", err)
	}
	return Parse(data)
}

// Watch calls apply with the config of a file: at once, and whenever its
// content has changed, until ctx ends. It blocks; calls of apply do not
// overlap. Objects that got a fault by an edit stay as they were (see Keep).
//
// When the file cannot be read or nothing in it can be used, apply gets the
// error and the last good config, nil if there was none. The same error is
// told once. The next good content is applied even if it is the old one, so
// that the end of an error is seen.
func Watch(ctx context.Context, file string, apply func(*Config, error)) {
	w := watcher{file: file, apply: apply, poll: pollInterval}
	w.follow(ctx)
}

// watcher follows one file.
type watcher struct {
	file    string
	apply   func(*Config, error)
	poll    time.Duration
	rewatch func()

	good *Config
	seen string // what was found last: the content's hash or an error
}

// follow runs with the notifications of the file's directory, if there are any.
func (w *watcher) follow(ctx context.Context) {
	notify, err := fsnotify.NewWatcher()
	if err != nil { // no inotify left on this host: polling has to do
		w.run(ctx, nil, nil)
		return
	}
	defer func() { _ = notify.Close() }()
	// The directory is watched, since a ConfigMap's file is a link that stays
	// while ..data beside it is swapped. It is added at each poll again, for
	// when it did not exist or was replaced.
	w.rewatch = func() { _ = notify.Add(filepath.Dir(w.file)) }
	w.run(ctx, notify.Events, notify.Errors)
}

func (w *watcher) run(ctx context.Context, events <-chan fsnotify.Event, errs <-chan error) {
	tick := time.NewTicker(w.poll)
	defer tick.Stop()
	if w.rewatch != nil {
		w.rewatch() // before the first look, so that no change is lost
	}
	w.look()
	var settled <-chan time.Time
	for {
		select {
		case <-ctx.Done():
			return
		case <-events:
			if settled == nil {
				settled = time.After(settleTime)
			}
		case <-errs: //nolint:errcheck // events may be lost; the look is the answer
			w.look()
		case <-settled:
			settled = nil
			w.look()
		case <-tick.C:
			if w.rewatch != nil {
				w.rewatch()
			}
			w.look()
		}
	}
}

// look reads the file and tells when it is not as it was.
func (w *watcher) look() {
	data, err := os.ReadFile(w.file)
	if err != nil {
		if w.changed("error " + err.Error()) {
			w.apply(w.good, fmt.Errorf("read cloud-config: %w", err))
		}
		return
	}
	if !w.changed(fmt.Sprintf("content %x", sha256.Sum256(data))) {
		return
	}
	next, err := Parse(data)
	if err != nil {
		w.apply(w.good, fmt.Errorf("read cloud-config %s: %w", w.file, err))
		return
	}
	w.good = Keep(w.good, next)
	w.apply(w.good, nil)
}

func (w *watcher) changed(to string) bool {
	if w.seen == to {
		return false
	}
	w.seen = to
	return true
}
