// SPDX-License-Identifier: Apache-2.0

package awssim

import (
	"bytes"
	"io"
	"net/http"
)

// NewHTTPClient returns a client for the SDK that bears answers that come at
// once. With the SDK's own, net/http sends the body of a request and then looks
// at it once more, and when the SDK has closed it by then the answer is cut. No
// real cloud answers so fast. The SDK's own client retries by default.
func NewHTTPClient() *http.Client {
	return &http.Client{Transport: wholeBodies{next: &http.Transport{MaxIdleConnsPerHost: 100}}}
}

// wholeBodies hands requests on with their bodies in memory, which are sent in
// one go.
type wholeBodies struct{ next http.RoundTripper }

// RoundTrip implements [http.RoundTripper].
func (t wholeBodies) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body == nil || r.Body == http.NoBody {
		return t.next.RoundTrip(r)
	}
	data, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	if err := r.Body.Close(); err != nil {
		return nil, err
	}
	r = r.Clone(r.Context())
	r.Body = io.NopCloser(bytes.NewReader(data))
	return t.next.RoundTrip(r)
}
