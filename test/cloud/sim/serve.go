// SPDX-License-Identifier: Apache-2.0

package sim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"time"
)

// Server is a cloud that listens on loopback.
type Server struct {
	URL    string
	server *httptest.Server
}

// Start lets a cloud listen on a free port of loopback.
func Start(cloud http.Handler) *Server {
	server := httptest.NewUnstartedServer(cloud)
	server.Config.ReadHeaderTimeout = 10 * time.Second
	server.Start()
	return &Server{URL: server.URL, server: server}
}

// Close ends all connections and stops listening.
func (s *Server) Close() {
	s.server.CloseClientConnections()
	s.server.Close()
}

// Direct hands requests to a cloud in this process. Where nobody waits for a
// network the clock of a synctest bubble goes on.
type Direct struct{ Cloud http.Handler }

// RoundTrip implements [http.RoundTripper].
func (d Direct) RoundTrip(r *http.Request) (*http.Response, error) {
	answer := httptest.NewRecorder()
	d.Cloud.ServeHTTP(answer, r)
	return answer.Result(), nil
}

// Serve answers on the address until ctx ends, and prints where.
func Serve(ctx context.Context, addr string, handler http.Handler, out io.Writer) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	if _, err := fmt.Fprintf(out, "listening on http://%s\n", listener.Addr()); err != nil {
		return err
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	if err := server.Close(); err != nil {
		return err
	}
	if err := <-done; !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
