// SPDX-License-Identifier: Apache-2.0

package api_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fairlead/fairlead/pkg/cloudconfig"
	"github.com/fairlead/fairlead/pkg/provider/aws/api"
)

// call is one request that the server got.
type call struct {
	action string
	form   url.Values
	header http.Header
	path   string
}

// server answers the calls of each action with that action's script in turn,
// the last step for all that follow.
type server struct {
	*httptest.Server

	mu     sync.Mutex
	script map[string][]http.HandlerFunc
	calls  []call
}

// serve starts a server. A call without a script is answered with an error.
func serve(t *testing.T, script map[string][]http.HandlerFunc) *server {
	t.Helper()
	s := &server{script: script}
	s.Server = httptest.NewServer(http.HandlerFunc(s.answer))
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s
}

func (s *server) answer(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	form, _ := url.ParseQuery(string(body))
	r.Form, r.PostForm = form, form
	c := call{form.Get("Action"), form, r.Header, r.URL.Path}
	if c.action == "" {
		c.action = r.Method + " " + r.URL.Path
	}
	s.mu.Lock()
	s.calls = append(s.calls, c)
	steps := s.script[c.action]
	if len(steps) > 1 {
		s.script[c.action] = steps[1:]
	}
	s.mu.Unlock()
	if len(steps) == 0 {
		http.NotFound(w, r)
		return
	}
	steps[0](w, r)
}

// of are the calls of an action.
func (s *server) of(action string) []call {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(s.calls), func(c call) bool { return c.action != action })
}

// says is a good answer of EC2 or of load balancing.
func says(action, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, "<%[1]sResponse><%[1]sResult>%[2]s</%[1]sResult>%[2]s</%[1]sResponse>", action, body)
	}
}

// ec2Error and elbError are refusals.
func ec2Error(status int, code, message string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, "<Response><Errors><Error><Code>%s</Code><Message>%s</Message></Error></Errors></Response>", code, message)
	}
}

func elbError(status int, code, message string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, "<ErrorResponse><Error><Code>%s</Code><Message>%s</Message></Error></ErrorResponse>", code, message)
	}
}

// hangUp cuts the connection.
func hangUp(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// text is an answer of the metadata service.
func text(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "21600")
		_, _ = io.WriteString(w, body)
	}
}

// alone hides the user's own configuration, and signs in with keys.
func alone(t *testing.T) {
	t.Helper()
	for _, name := range []string{
		"AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_SESSION_TOKEN", "AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE",
		"AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_ENDPOINT_URL", "AWS_CA_BUNDLE", "HTTP_PROXY", "HTTPS_PROXY",
	} {
		t.Setenv(name, "")
	}
	dir := t.TempDir()
	t.Setenv("HOME", dir)
	t.Setenv("AWS_CONFIG_FILE", dir+"/config")
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", dir+"/credentials")
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIDTEST")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "secret")
}

// config is one that has all services at the server.
func config(s *server) *cloudconfig.AWS {
	conf := cloudconfig.NewAWS()
	conf.Region = "eu-west-1"
	conf.Endpoints = cloudconfig.AWSEndpoints{EC2: s.URL, ELB: s.URL, ELBv2: s.URL, STS: s.URL, IMDS: s.URL}
	return conf
}

func quick() api.Setup {
	return api.Setup{Times: api.Times{Call: 5 * time.Second, Retry: time.Millisecond}}
}

// client is one that speaks to the server.
func client(t *testing.T, s *server) *api.Client {
	t.Helper()
	alone(t)
	c, err := api.New(t.Context(), config(s), quick())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func contains(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("got  %s\nwant %s", err, part)
		}
	}
}
