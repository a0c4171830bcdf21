// SPDX-License-Identifier: Apache-2.0

package awssim

import (
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/fairlead/fairlead/test/cloud/sim"
)

// CallKind says what a call was for.
type CallKind uint8

// Kinds of calls.
const (
	Other    CallKind = iota + 1 // security tokens, and what is no action
	Read                         // Describe... and Get..., first page
	NextPage                     // further page of a list
	Write                        // everything else
)

func (k CallKind) String() string {
	switch k {
	case Other:
		return "other"
	case Read:
		return "read"
	case NextPage:
		return "next page"
	case Write:
		return "write"
	default:
		return "invalid"
	}
}

// Service is one of the APIs.
type Service string

// Services.
const (
	EC2   Service = "ec2"
	ELB   Service = "elb"   // classic load balancers
	ELBV2 Service = "elbv2" // network load balancers
	STS   Service = "sts"
)

// Call is one call that the cloud was asked.
type Call struct {
	sim.Call

	Kind    CallKind
	Service Service
	Action  string
	// Form is the request, without Action and Version.
	Form url.Values
	// AccessKey signed the request.
	AccessKey string
	// SourceARN is the header x-amz-source-arn.
	SourceARN string

	fault *Fault // chosen for it, or nil
}

// API names the call as counters, latencies and faults do, such as
// "ec2.DescribeSubnets".
func (call Call) API() string { return string(call.Service) + "." + call.Action }

// maxBody is more than any request of a controller needs, in bytes.
const maxBody = 8 << 20

// arrive numbers and classifies a call.
func (c *Cloud) arrive(r *http.Request) (*Call, url.Values, *refusal) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	form, malformed := url.ParseQuery(string(body))
	if r.Method != http.MethodPost || err != nil || malformed != nil {
		form = r.URL.Query()
	}
	action, version := form.Get("Action"), form.Get("Version")
	form.Del("Action")
	form.Del("Version")
	c.mu.Lock()
	defer c.mu.Unlock()
	call := &Call{
		Call: c.log.Next(), Kind: Other, Service: serviceOf(version), Action: action,
		Form: form, AccessKey: credentialScope(r).key, SourceARN: r.Header.Get("X-Amz-Source-Arn"),
	}
	call.Kind = classify(call)
	if call.Kind == Write {
		call.Write = c.log.NextWrite()
	}
	c.log.Add(call)
	if err != nil || malformed != nil {
		return call, form, bad("MalformedInput", "The request cannot be read.")
	}
	return call, form, nil
}

func classify(call *Call) CallKind {
	switch {
	case call.Service == "" || call.Service == STS || call.Action == "":
		return Other
	case !strings.HasPrefix(call.Action, "Describe") && !strings.HasPrefix(call.Action, "Get"):
		return Write
	case call.Form.Get("NextToken") != "" || call.Form.Get("Marker") != "":
		return NextPage
	default:
		return Read
	}
}

// leave notes how a call ended.
func (c *Cloud) leave(call *Call, a *answer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !a.hangup {
		call.Status, call.Code = a.status, a.code
	}
	call.Took = time.Since(call.Arrived)
}

// Calls returns all calls since the start or the last ResetCalls, in the order
// they arrived. One that is not answered yet has Status 0 and Took 0.
func (c *Cloud) Calls() []Call {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.log.All()
}

// ResetCalls forgets all calls; numbering starts at 1 again.
func (c *Cloud) ResetCalls() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.log = sim.Log[Call]{}
}

// Counts counts the calls since the start or the last ResetCalls by API, such as
// "elbv2.CreateListener", all but those of STS.
func (c *Cloud) Counts() sim.Counts {
	n := sim.NewCounts()
	for _, call := range c.Calls() {
		switch call.Kind {
		case Read:
			n.Reads[call.API()]++
		case Write:
			n.Writes[call.API()]++
		case NextPage:
			n.Pages++
		case Other:
		}
		switch {
		case slices.Contains([]string{throttledEC2, throttledELB}, call.Code):
			n.Refused[call.API()]++
		case call.Code != "":
			n.Failed[call.API()]++
		}
	}
	return n
}
