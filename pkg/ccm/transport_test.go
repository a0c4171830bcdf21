// SPDX-License-Identifier: Apache-2.0

package ccm

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/utils/clock"
)

// answer is a transport that answers when it is told to.
func answer(goOn <-chan struct{}) http.RoundTripper {
	return roundTripper(func(*http.Request) (*http.Response, error) {
		<-goOn
		return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
	})
}

func send(ctx context.Context, rt http.RoundTripper, method, path string) error {
	r, err := http.NewRequestWithContext(ctx, method, "https://api"+path, strings.NewReader("{}"))
	if err != nil {
		return err
	}
	resp, err := rt.RoundTrip(r)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

func TestDryRunTransportRefusesWrites(t *testing.T) {
	now := make(chan struct{})
	close(now)
	rt := readOnly(answer(now))
	for request, allowed := range map[string]bool{
		"GET /api/v1/services":                                                           true,
		"PUT /api/v1/nodes/n1":                                                           false,
		"PATCH /api/v1/namespaces/default/services/web/status":                           false,
		"POST /api/v1/namespaces/default/events":                                         false,
		"DELETE /api/v1/nodes/n1":                                                        false,
		"POST /apis/coordination.k8s.io/v1/namespaces/kube-system/leases":                false,
		"POST /apis/authentication.k8s.io/v1/tokenreviews":                               true,
		"POST /apis/authorization.k8s.io/v1/subjectaccessreviews":                        true,
		"POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews":                    true,
		"POST /api/v1/namespaces/default/serviceaccounts/x/token":                        false,
		"POST /apis/authorization.k8s.io/v1/namespaces/default/localsubjectaccessreview": false,
	} {
		method, path, _ := strings.Cut(request, " ")
		err := send(t.Context(), rt, method, path)
		if (err == nil) != allowed {
			t.Errorf("%s: %v, want allowed: %v", request, err, allowed)
		}
		if err != nil && !strings.Contains(err.Error(), "dry run: refused to "+request) {
			t.Errorf("%s: the error does not say so: %v", request, err)
		}
	}
}

func TestQuietWaitsForWritesAndThePauseAfterThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWrites(clock.RealClock{})
		goOn := make(chan struct{})
		rt := w.fence(answer(goOn))
		go func() {
			_ = send(t.Context(), rt, http.MethodPatch, "/api/v1/nodes/n1")
		}()
		synctest.Wait()
		begin := time.Now()
		quiet := make(chan error, 1)
		go func() { quiet <- w.objects.quiet(t.Context(), time.Second) }()
		<-time.After(5 * time.Second)
		select {
		case err := <-quiet:
			t.Fatalf("quiet with a write in flight (error %v)", err)
		default:
		}
		close(goOn)
		if err := <-quiet; err != nil {
			t.Error(err)
		}
		if took := time.Since(begin); took < 6*time.Second || took > 7*time.Second {
			t.Errorf("quiet after %s, want the pause of 1 s after the write that took 5 s", took)
		}
		w.shut()
		if err := send(t.Context(), rt, http.MethodPatch, "/x"); !errors.Is(err, errClosed) {
			t.Errorf("a write after the end: %v", err)
		}
		if err := send(t.Context(), rt, http.MethodGet, "/x"); err != nil {
			t.Errorf("a read after the end: %v", err)
		}
		if err := send(t.Context(), w.count(answer(goOn)), http.MethodPost, "/x"); err != nil {
			t.Errorf("a write beside the fence: %v", err)
		}
	})
}

func TestQuietEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWrites(clock.RealClock{})
		goOn := make(chan struct{})
		go func() { _ = send(context.WithoutCancel(t.Context()), w.count(answer(goOn)), http.MethodPut, "/x") }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err := w.objects.quiet(ctx, time.Second)
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "1 writes") {
			t.Errorf("error %v, want the deadline and the number of writes", err)
		}
		close(goOn)
	})
}
