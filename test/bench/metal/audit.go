// SPDX-License-Identifier: Apache-2.0

//go:build linux

package metal

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// auditPolicy keeps one line for each request that may write, and what is
// needed to tell whose it was.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
rules:
- level: Metadata
  verbs: [create, update, patch, delete, deletecollection]
- level: None
`

// auditLog is the API server's own record of all writes.
type auditLog struct {
	policy, file string
}

// newAuditLog writes the policy.
func newAuditLog(dir string) (auditLog, error) {
	a := auditLog{policy: filepath.Join(dir, "audit-policy.yaml"), file: filepath.Join(dir, "audit.log")}
	return a, os.WriteFile(a.policy, []byte(auditPolicy), 0o600)
}

// flags are those of kube-apiserver.
func (a auditLog) flags() []string {
	return []string{"--audit-policy-file=" + a.policy, "--audit-log-path=" + a.file}
}

// size is the point in the log after all that was written.
func (a auditLog) size() (int64, error) {
	info, err := os.Stat(a.file)
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// write is a kind of write and by whom.
type write struct {
	user string
	what string // "patch services/status"
}

// writes are counted by kind.
type writes map[write]int

// since counts the writes that were answered after a point of the log.
func (a auditLog) since(begin int64) (writes, error) {
	f, err := os.Open(a.file)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	if _, err := f.Seek(begin, io.SeekStart); err != nil {
		return nil, err
	}
	return countWrites(f)
}

// countWrites reads lines of the log. The last may be half of one.
func countWrites(r io.Reader) (writes, error) {
	out := writes{}
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		var e struct {
			Verb string `json:"verb"`
			User struct {
				Username string `json:"username"`
			} `json:"user"`
			Object struct {
				Resource    string `json:"resource"`
				Subresource string `json:"subresource"`
			} `json:"objectRef"`
		}
		if err := json.Unmarshal(bytes.TrimSpace(line), &e); err != nil {
			return nil, fmt.Errorf("audit log: %w", err)
		}
		what := e.Verb + " " + e.Object.Resource
		if e.Object.Subresource != "" {
			what += "/" + e.Object.Subresource
		}
		out[write{user: shortUser(e.User.Username), what: what}]++
	}
}

// shortUser drops what all ServiceAccounts of the rack have in common.
func shortUser(name string) string {
	return name[strings.LastIndexByte(name, ':')+1:]
}

// Those who write.
const (
	userController = "fairlead-controller-manager"
	userSpeaker    = "fairlead-speaker"
)

// by counts the writes of a user. The lease is renewed by the clock, whatever
// the Services do, so it is left out.
func (w writes) by(user string) int {
	n := 0
	for k, count := range w {
		if k.user == user && !strings.HasSuffix(k.what, " leases") {
			n += count
		}
	}
	return n
}

// String lists the writes of all users but the administrator, who is the bench.
func (w writes) String() string {
	var b bytes.Buffer
	keys := slices.SortedFunc(maps.Keys(w), func(a, b write) int {
		return strings.Compare(a.user+" "+a.what, b.user+" "+b.what)
	})
	for _, k := range keys {
		if k.user != "admin" {
			fmt.Fprintf(&b, "  %s: %s %d\n", k.user, k.what, w[k])
		}
	}
	return b.String()
}
