// SPDX-License-Identifier: Apache-2.0

package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
)

const (
	// fileInterval is how often password files are read again.
	fileInterval = 5 * time.Second
	// secretInterval is how often a Secret is read again while its session is
	// up, and secretHaste while it is not: a changed password shows as a session
	// that is down.
	secretInterval = 5 * time.Minute
	secretHaste    = 10 * time.Second
	// secretTimeout bounds one read of a Secret, so that one that hangs does not
	// keep the others from being read.
	secretTimeout = 10 * time.Second
	// defaultSecretKey is the key of a password in its Secret.
	defaultSecretKey = "password"
)

// errPending says that a password is being read.
var errPending = errors.New("its password is being read")

// passwords keeps the passwords that stand outside of the configuration, and
// reads them again from time to time.
type passwords struct {
	client    API
	namespace string
	changed   func()
	kick      chan struct{}

	mu      sync.Mutex
	entries map[cloudconfig.Password]*entry
}

// entry is one password from a file or a Secret.
type entry struct {
	value cloudconfig.Secret
	err   error
	read  bool
	due   time.Time
	hasty bool // its session is not up
}

func newPasswords(client API, namespace string, changed func()) *passwords {
	return &passwords{
		client: client, namespace: namespace, changed: changed,
		kick: make(chan struct{}, 1), entries: map[cloudconfig.Password]*entry{},
	}
}

// lookup returns a peer's password. One that was not asked for before is being
// read then, and changed is called when it is there.
func (p *passwords) lookup(ref cloudconfig.Password, up bool) (cloudconfig.Secret, error) {
	if ref.File == "" && ref.SecretName == "" {
		return ref.Inline, nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	e, ok := p.entries[ref]
	if !ok {
		e = &entry{err: errPending}
		p.entries[ref] = e
	}
	if urgent := !up; !ok || urgent != e.hasty {
		e.hasty = urgent
		if urgent { // it may have been changed
			e.due = time.Time{}
		}
		select {
		case p.kick <- struct{}{}:
		default:
		}
	}
	return e.value, e.err
}

// retain forgets all passwords but those.
func (p *passwords) retain(refs map[cloudconfig.Password]bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	maps.DeleteFunc(p.entries, func(ref cloudconfig.Password, _ *entry) bool { return !refs[ref] })
}

// run reads passwords until ctx ends.
func (p *passwords) run(ctx context.Context) {
	for {
		wait := p.pass(ctx, time.Now())
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-p.kick:
			timer.Stop()
		case <-timer.C:
		}
	}
}

// pass reads what is due and returns how long nothing is.
func (p *passwords) pass(ctx context.Context, now time.Time) time.Duration {
	p.mu.Lock()
	var due []cloudconfig.Password
	next := now.Add(secretInterval)
	for ref, e := range p.entries {
		if !e.due.After(now) {
			due = append(due, ref)
			e.due = now.Add(interval(ref, e.hasty))
		}
		if e.due.Before(next) {
			next = e.due
		}
	}
	p.mu.Unlock()
	news := false
	for _, ref := range due {
		value, err := p.fetch(ctx, ref)
		p.mu.Lock()
		e, ok := p.entries[ref]
		if ok && (err == nil || !e.read || e.err != nil || !isTransient(err)) {
			news = news || !e.read || e.value != value || text(e.err) != text(err)
			e.value, e.err, e.read = value, err, true
		}
		p.mu.Unlock()
	}
	if news && ctx.Err() == nil {
		p.changed()
	}
	return max(next.Sub(now), 100*time.Millisecond)
}

// isTransient reports whether the apiserver could not answer: then the last
// password stays.
func isTransient(err error) bool {
	var f *secretError
	return errors.As(err, &f) && !apierrors.IsNotFound(f.err) && !apierrors.IsForbidden(f.err)
}

func interval(ref cloudconfig.Password, hasty bool) time.Duration {
	switch {
	case ref.File != "":
		return fileInterval
	case hasty:
		return secretHaste
	default: // spread over the nodes
		return secretInterval/2 + rand.N(secretInterval/2) //nolint:gosec // no secret
	}
}

func (p *passwords) fetch(ctx context.Context, ref cloudconfig.Password) (cloudconfig.Secret, error) {
	if ref.File != "" {
		return readFile(ref.File)
	}
	return p.readSecret(ctx, ref)
}

func readFile(path string) (cloudconfig.Secret, error) {
	data, err := os.ReadFile(path) //nolint:gosec // the operator names it
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("password file %q does not exist; create it, or change the peer's password", path)
	case err != nil:
		return "", fmt.Errorf("password file %q: %w; make it readable for the speaker", path, err)
	}
	return parsePassword(data, fmt.Sprintf("password file %q", path))
}

// secretError is a failed read of a Secret.
type secretError struct {
	what string
	err  error
}

func (f *secretError) Error() string { return f.what + ": " + f.err.Error() }
func (f *secretError) Unwrap() error { return f.err }

func (p *passwords) readSecret(ctx context.Context, ref cloudconfig.Password) (cloudconfig.Secret, error) {
	key := ref.SecretKey
	if key == "" {
		key = defaultSecretKey
	}
	what := fmt.Sprintf("password Secret %s/%s", p.namespace, ref.SecretName)
	ctx, cancel := context.WithTimeout(ctx, secretTimeout)
	defer cancel()
	obj, err := p.client.Secret(ctx, p.namespace, ref.SecretName)
	if apierrors.IsNotFound(err) {
		return "", fmt.Errorf("%s does not exist; create it with the key %q, or change the peer's password", what, key)
	}
	if err != nil {
		return "", &secretError{what: what, err: err}
	}
	data, ok := obj.Data[key]
	if !ok {
		return "", fmt.Errorf("%s has no key %q; add it, or name another key", what, key)
	}
	return parsePassword(data, fmt.Sprintf("%s key %q", what, key))
}

func parsePassword(data []byte, what string) (cloudconfig.Secret, error) {
	value, err := cloudconfig.ParsePassword(data)
	if err != nil {
		return "", fmt.Errorf("%s: %w", what, err)
	}
	return value, nil
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
