// SPDX-License-Identifier: Apache-2.0

//go:build linux

package rack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"time"
)

// podHeader names the Pod that answered.
const podHeader = "X-Pod"

// shutdownLimit is how long a server waits for what it is still asked.
const shutdownLimit = 3 * time.Second

// serveOrder says what a server that stands for a Pod does.
type serveOrder struct {
	Pod    string
	Listen []netip.AddrPort
}

// serve answers until ctx ends, then finishes what was begun. It writes to ready
// once it listens.
func serve(ctx context.Context, o serveOrder, ready io.Writer) error {
	srv := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set(podHeader, o.Pod)
			_, _ = fmt.Fprintf(w, "Hostname: %s\nRemoteAddr: %s\n", o.Pod, r.RemoteAddr)
		}),
		ReadHeaderTimeout: 10 * time.Second,
	}
	failed := make(chan error, len(o.Listen))
	for _, addr := range o.Listen {
		l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr.String())
		if err != nil {
			return errors.Join(err, srv.Close())
		}
		go func() { failed <- srv.Serve(l) }()
	}
	if _, err := fmt.Fprintln(ready, "listening"); err != nil {
		return errors.Join(err, srv.Close())
	}
	select {
	case err := <-failed:
		return errors.Join(err, srv.Close())
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownLimit)
	defer cancel()
	return srv.Shutdown(ctx)
}
