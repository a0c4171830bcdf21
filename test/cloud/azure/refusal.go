// SPDX-License-Identifier: Apache-2.0

package azuresim

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"time"
)

// refusal is an error answer of Resource Manager.
type refusal struct {
	status     int
	code       string
	message    string
	details    []detail
	retryAfter time.Duration
}

type detail struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

// refuse makes a refusal whose message is formatted.
func refuse(status int, code, format string, args ...any) *refusal {
	return &refusal{status: status, code: code, message: fmt.Sprintf(format, args...)}
}

// bad is the refusal of a document that breaks a rule.
func bad(code, format string, args ...any) *refusal {
	return refuse(http.StatusBadRequest, code, format, args...)
}

func (r *refusal) because(code, format string, args ...any) *refusal {
	r.details = append(r.details, detail{Code: code, Message: fmt.Sprintf(format, args...)})
	return r
}

// envelope is the error object of an answer or of an operation.
func (r *refusal) envelope() object {
	details := make([]any, len(r.details))
	for i, d := range r.details {
		details[i] = object{"code": d.Code, "message": d.Message}
	}
	return object{"code": r.code, "message": r.message, "details": details}
}

func (r *refusal) answer() *answer {
	if r.status < http.StatusBadRequest {
		return rawAnswer(r.status, nil) // there is nothing to do
	}
	a := jsonAnswer(r.status, object{"error": r.envelope()})
	a.code = r.code
	a.header.Set("x-ms-failure-cause", "gateway")
	if r.retryAfter > 0 {
		a.header.Set("Retry-After", seconds(r.retryAfter))
	}
	return a
}

// missing are the refusals for what is not there.
func missingResource(id resourceID) *refusal {
	if id.namespace == "Microsoft.Network" && len(id.types) > 1 {
		return refuse(http.StatusNotFound, "NotFound", "Resource %s not found.", id.path)
	}
	return refuse(http.StatusNotFound, "ResourceNotFound",
		"The Resource '%s/%s' under resource group '%s' was not found.", id.typeName(), id.name(), id.group)
}

func missingGroup(id resourceID) *refusal {
	return refuse(http.StatusNotFound, "ResourceGroupNotFound", "Resource group '%s' could not be found.", id.group)
}

// answer is one HTTP answer before it is written.
type answer struct {
	status int
	header http.Header
	body   []byte
	code   string // of a refusal
	hangup bool   // close the connection instead
}

func jsonAnswer(status int, body any) *answer {
	data, err := json.Marshal(body)
	if err != nil {
		panic("azuresim: a document cannot be written as JSON: " + err.Error())
	}
	return rawAnswer(status, data)
}

func rawAnswer(status int, body []byte) *answer {
	a := &answer{status: status, header: http.Header{}, body: body}
	if body != nil {
		a.header.Set("Content-Type", "application/json; charset=utf-8")
	}
	a.header.Set("Cache-Control", "no-cache")
	return a
}

func (a *answer) write(w http.ResponseWriter) {
	if a.hangup {
		panic(http.ErrAbortHandler)
	}
	maps.Copy(w.Header(), a.header)
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body) // the client may be gone, which is its affair
}

// seconds writes a wait as Retry-After has it: whole seconds, rounded up.
func seconds(d time.Duration) string {
	return strconv.Itoa(int((d + time.Second - 1) / time.Second))
}
