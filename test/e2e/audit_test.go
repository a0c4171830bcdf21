// SPDX-License-Identifier: Apache-2.0

package e2e

import (
	"bufio"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
	"k8s.io/apiserver/pkg/authentication/serviceaccount"

	"github.com/fairlead/fairlead/test/controlplane"
)

// auditAll notes who asked for what, and the answer.
const auditAll = `apiVersion: audit.k8s.io/v1
kind: Policy
rules:
- level: Metadata
`

// audit is the log of all requests to the API server.
type audit struct{ file string }

// withAudit makes the API server keep an audit log.
func withAudit(t *testing.T) (audit, controlplane.Options) {
	t.Helper()
	dir := t.ArtifactDir()
	policy, log := filepath.Join(dir, "audit-policy.yaml"), filepath.Join(dir, "audit.log")
	if err := os.WriteFile(policy, []byte(auditAll), 0o600); err != nil {
		t.Fatal(err)
	}
	return audit{log}, controlplane.Options{ExtraArgs: []string{
		"--audit-policy-file=" + policy, "--audit-log-path=" + log, "--audit-log-mode=blocking-strict",
	}}
}

// request is one kind of request of a ServiceAccount, and the answer.
type request struct {
	verb, resource, namespace string // the resource with its subresource
	code                      int32
}

// of returns how often the ServiceAccount made which requests.
func (a audit) of(t *testing.T, account string) map[request]int {
	t.Helper()
	f, err := os.Open(a.file)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	user := serviceaccount.MakeUsername(system, account)
	out := map[request]int{}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e auditv1.Event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			continue // the last line may be half written
		}
		if e.User.Username != user || e.ObjectRef == nil || e.Stage == auditv1.StageRequestReceived {
			continue
		}
		if strings.HasPrefix(e.UserAgent, "e2e.test/") {
			continue // this test in its name
		}
		r := request{verb: e.Verb, resource: strings.TrimSuffix(e.ObjectRef.Resource+"/"+e.ObjectRef.Subresource, "/"), namespace: e.ObjectRef.Namespace}
		if e.ResponseStatus != nil {
			r.code = e.ResponseStatus.Code
		}
		out[r]++
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

// refused are the requests that were answered 403.
func refused(requests map[request]int) []request {
	var out []request
	for r := range requests {
		if r.code == http.StatusForbidden {
			out = append(out, r)
		}
	}
	return out
}
