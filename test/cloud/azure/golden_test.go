// SPDX-License-Identifier: Apache-2.0

package azuresim

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// client speaks raw HTTP to a cloud.
type client struct {
	t   *testing.T
	url string
}

// response is an answer with its body read.
type response struct {
	status int
	header http.Header
	body   []byte
}

// connect starts the cloud and returns a client of it.
func connect(t *testing.T, c *Cloud) client {
	t.Helper()
	server := c.Start()
	t.Cleanup(server.Close)
	return client{t: t, url: server.URL}
}

// version is the api-version of a path.
func version(path string) string {
	switch {
	case strings.Contains(path, "Microsoft.Compute") && (strings.Contains(path, "networkInterfaces") || strings.Contains(path, "publicIPAddresses")):
		return scaleSetVersion
	case strings.Contains(path, "Microsoft.Compute"):
		return computeVersion
	default:
		return networkVersion
	}
}

// send asks one thing; headers are name and value in turn. The URL gets the
// api-version when it has no query.
func (cl client) send(method, url string, body any, headers ...string) response {
	cl.t.Helper()
	r, err := cl.try(method, url, body, headers...)
	if err != nil {
		cl.t.Fatal(err)
	}
	return r
}

func (cl client) try(method, url string, body any, headers ...string) (response, error) {
	var reader io.Reader
	switch b := body.(type) {
	case nil:
	case json.RawMessage:
		reader = bytes.NewReader(b)
	case string:
		reader = strings.NewReader(b)
	default:
		data, err := json.Marshal(b)
		if err != nil {
			return response{}, err
		}
		reader = bytes.NewReader(data)
	}
	if strings.HasPrefix(url, "/") {
		url = cl.url + url
	}
	if !strings.Contains(url, "?") {
		url += "?api-version=" + version(url)
	}
	request, err := http.NewRequestWithContext(cl.t.Context(), method, url, reader)
	if err != nil {
		return response{}, err
	}
	request.Header.Set("Authorization", "Bearer token")
	request.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	answered, err := http.DefaultClient.Do(request)
	if err != nil {
		return response{}, err
	}
	defer func() { _ = answered.Body.Close() }()
	data, err := io.ReadAll(answered.Body)
	return response{status: answered.StatusCode, header: answered.Header, body: data}, err
}

// code is the error code of an answer, with those of its details.
func (r response) code() string {
	var e struct {
		Error struct {
			Code    string
			Details []detail
		}
	}
	if json.Unmarshal(r.body, &e) != nil {
		return ""
	}
	codes := []string{e.Error.Code}
	for _, d := range e.Error.Details {
		codes = append(codes, d.Code)
	}
	return strings.Join(codes, "/")
}

// doc is the document that was answered.
func (r response) doc(t *testing.T) object {
	t.Helper()
	doc, err := decode(r.body)
	if err != nil {
		t.Fatalf("%d %s: %v", r.status, r.body, err)
	}
	return doc
}

// golden reads the resources of a state that the peer left.
func golden(t *testing.T, file string) []json.RawMessage {
	t.Helper()
	data, err := os.ReadFile(filepath.Clean(file))
	if err != nil {
		t.Fatal(err)
	}
	var state struct {
		State struct{ Resources []json.RawMessage }
	}
	if err := json.Unmarshal(data, &state); err != nil {
		t.Fatal(err)
	}
	return state.State.Resources
}

func goldenFiles(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) < 4 {
		t.Fatalf("golden states: %v, %v", files, err)
	}
	return files
}

// seeded is a cloud that holds a golden state.
func seeded(t *testing.T, file string) *Cloud {
	t.Helper()
	c := New(Options{})
	if err := c.Seed(golden(t, file)); err != nil {
		t.Fatal(err)
	}
	return c
}

func normal(t *testing.T, state []json.RawMessage) string {
	t.Helper()
	text, err := Normalise(state)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestGoldenStateIsAnsweredAsItWasSeeded(t *testing.T) {
	for _, file := range goldenFiles(t) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			c := seeded(t, file)
			cl := connect(t, c)
			for _, want := range golden(t, file) {
				doc, err := decode(want)
				if err != nil {
					t.Fatal(err)
				}
				got := cl.send(http.MethodGet, text(doc, "id"), nil)
				if diff := cmp.Diff(doc, got.doc(t)); diff != "" {
					t.Errorf("GET %s (-seeded +got):\n%s", text(doc, "id"), diff)
				}
			}
		})
	}
}

func TestPutOfWhatIsThereChangesOnlyEtags(t *testing.T) {
	for _, file := range goldenFiles(t) {
		t.Run(filepath.Base(file), func(t *testing.T) {
			c := seeded(t, file)
			cl := connect(t, c)
			before := normal(t, c.State())
			for _, resource := range c.State() {
				doc, err := decode(resource)
				if err != nil {
					t.Fatal(err)
				}
				got := cl.send(http.MethodGet, text(doc, "id"), nil)
				etag := text(got.doc(t), "etag")
				put := cl.send(http.MethodPut, text(doc, "id"), json.RawMessage(got.body), "If-Match", etag)
				if put.status != http.StatusOK {
					t.Fatalf("PUT %s: %d %s", text(doc, "id"), put.status, put.body)
				}
				if text(put.doc(t), "etag") == etag {
					t.Errorf("PUT %s left the etag", text(doc, "id"))
				}
				if diff := cmp.Diff(before, normal(t, c.State())); diff != "" {
					t.Fatalf("PUT %s changed (-before +after):\n%s", text(doc, "id"), diff)
				}
			}
		})
	}
}
