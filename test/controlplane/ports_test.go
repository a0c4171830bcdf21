// SPDX-License-Identifier: Apache-2.0

package controlplane

import (
	"errors"
	"net"
	"testing"
)

func TestATakenPortIsToldFromOtherFailures(t *testing.T) {
	cp := ForTest(t, Options{})
	if err := cp.KillAPIServer(); err != nil {
		t.Fatal(err)
	}
	var config net.ListenConfig
	l, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	addr, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		t.Fatalf("the listener has address %s", l.Addr())
	}
	cp.apiPort = addr.AddrPort().Port()
	if err := cp.RestartAPIServer(t.Context()); !portTaken(err) {
		t.Errorf("an API server on a port in use gives %v, want it told as that", err)
	}
	if err := errors.New("address already in use"); portTaken(err) {
		t.Errorf("%v of no program is told as a program's", err)
	}
}

func TestStartIsTriedAgainOnAnotherPort(t *testing.T) {
	taken := &exitError{name: "etcd", tail: "listen tcp 127.0.0.1:20000: bind: address already in use"}
	other := errors.New("disk full")
	for name, c := range map[string]struct {
		answers []error
		calls   int
		want    error
	}{
		"free at once":        {[]error{nil}, 1, nil},
		"free at second try":  {[]error{taken, nil}, 2, nil},
		"another failure":     {[]error{other, nil}, 1, other},
		"always taken":        {[]error{taken, taken, taken, taken, taken, nil}, startTries, taken},
		"failure after taken": {[]error{taken, other, nil}, 2, other},
	} {
		t.Run(name, func(t *testing.T) {
			calls := 0
			err := retryPort(func() error {
				calls++
				return c.answers[calls-1]
			})
			if !errors.Is(err, c.want) || calls != c.calls {
				t.Errorf("%v after %d calls, want %v after %d", err, calls, c.want, c.calls)
			}
		})
	}
}
