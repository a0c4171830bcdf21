// SPDX-License-Identifier: Apache-2.0

package arm_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"k8s.io/utils/clock"

	"github.com/fairlead/fairlead/pkg/plan"
	"github.com/fairlead/fairlead/pkg/provider/azure/arm"
)

const (
	group    = "/subscriptions/sub/resourceGroups/rg/providers/Microsoft.Network"
	balancer = group + "/loadBalancers/lb"
	publicIP = group + "/publicIPAddresses/ip"
)

// call is one request that the server got.
type call struct {
	method, path, query, etag, body string
	header                          http.Header
}

// server answers calls one after the other with its script, and records them.
type server struct {
	*httptest.Server

	mu     sync.Mutex
	script []http.HandlerFunc
	calls  []call
}

// serve starts a server that answers with the steps in turn; a call past the
// last one is an error of the test.
func serve(t *testing.T, steps ...http.HandlerFunc) *server {
	t.Helper()
	s := &server{script: steps}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		s.mu.Lock()
		s.calls = append(s.calls, call{r.Method, r.URL.Path, r.URL.RawQuery, r.Header.Get("If-Match"), string(body), r.Header})
		var step http.HandlerFunc
		if len(s.script) > 0 {
			step, s.script = s.script[0], s.script[1:]
		}
		s.mu.Unlock()
		if step == nil {
			t.Errorf("a call too many: %s %s", r.Method, r.URL)
			w.WriteHeader(http.StatusTeapot)
			return
		}
		step(w, r)
	}))
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.script) > 0 && !t.Failed() {
			t.Errorf("%d answers were not asked for; calls were %v", len(s.script), s.summary())
		}
	})
	return s
}

// seen are the calls as "METHOD path".
func (s *server) seen() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.summary()
}

func (s *server) summary() string {
	var out []string
	for _, c := range s.calls {
		out = append(out, c.method+" "+c.path[strings.LastIndex(c.path, "/")+1:])
	}
	return strings.Join(out, ", ")
}

func (s *server) last() call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[len(s.calls)-1]
}

// answer is a step: a status, a body, and headers as pairs.
func answer(status int, body string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for i := 0; i+1 < len(headers); i += 2 {
			w.Header().Set(headers[i], strings.ReplaceAll(headers[i+1], "HOST", "http://"+r.Host))
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, strings.ReplaceAll(body, "HOST", "http://"+r.Host))
	}
}

// refuse is a step with an error of Azure Resource Manager.
func refuse(status int, code, message string, headers ...string) http.HandlerFunc {
	body, _ := json.Marshal(map[string]any{"error": map[string]string{"code": code, "message": message}})
	return answer(status, string(body), headers...)
}

// drop is a step that ends the connection without an answer.
func drop(w http.ResponseWriter, _ *http.Request) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err == nil {
		_ = conn.Close()
	}
}

// doc is a document with an etag, a state and an idle timeout.
func doc(etag, state string, idle int) string {
	return fmt.Sprintf(`{"name":"lb","etag":%q,"location":"westeurope","properties":{"provisioningState":%q,"idleTimeoutInMinutes":%d,"resourceGuid":"g"}}`, etag, state, idle)
}

// sent is the document that tests write.
func sent(idle int) json.RawMessage {
	return json.RawMessage(fmt.Sprintf(`{"name":"lb","location":"West Europe","properties":{"idleTimeoutInMinutes":%d,"tags":[]}}`, idle))
}

// fastClock is past every wait at once, and records them.
type fastClock struct {
	clock.RealClock

	mu    sync.Mutex
	now   time.Time
	waits []time.Duration
}

func newFastClock() *fastClock { return &fastClock{now: time.Now()} }

func (c *fastClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *fastClock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func (c *fastClock) NewTimer(d time.Duration) clock.Timer {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	c.waits = append(c.waits, d)
	return clock.RealClock{}.NewTimer(0)
}

func (c *fastClock) waited() []time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]time.Duration(nil), c.waits...)
}

// token is a credential that always has one.
type token string

func (t token) GetToken(_ context.Context, o policy.TokenRequestOptions) (azcore.AccessToken, error) {
	text := string(t)
	if o.TenantID != "" {
		text += "-of-" + o.TenantID
	}
	return azcore.AccessToken{Token: text, ExpiresOn: time.Now().Add(time.Hour)}, nil
}

// client speaks to the server by the clock.
func client(t *testing.T, s *server, c clock.Clock, more ...func(*arm.Options)) *arm.Client {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	o := arm.Options{
		Cloud:     arm.Cloud{Endpoint: s.URL, Audience: "https://management.azure.com/", Authority: "https://login.example.com/"},
		Identity:  arm.Identity{Credential: token("secret")},
		Clock:     c,
		Times:     arm.Times{Retry: time.Millisecond},
		Transport: &http.Client{Transport: transport},
	}
	for _, m := range more {
		m(&o)
	}
	out, err := arm.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// kind fails the test unless err is of that kind and says so.
func kind(t *testing.T, err error, want plan.Kind, sentence string) *plan.Error {
	t.Helper()
	if err == nil || plan.KindOf(err) != want || !strings.Contains(err.Error(), sentence) {
		t.Fatalf("got  %v (%s)\nwant %s (%s)", err, plan.KindOf(err), sentence, want)
	}
	var pe *plan.Error
	if !asPlanError(err, &pe) {
		t.Fatalf("%v is no plan.Error", err)
	}
	return pe
}
