// SPDX-License-Identifier: Apache-2.0

package awssim

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"net/http"
	"reflect"
	"strconv"
	"strings"
)

// answer is what goes back to the client.
type answer struct {
	status int
	kind   string // content type
	body   []byte
	header string // name and value, or empty
	code   string // of the error
	hangup bool   // close the connection instead
}

func (a *answer) write(w http.ResponseWriter) {
	if a.hangup {
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("Content-Type", a.kind)
	if name, value, ok := strings.Cut(a.header, ": "); ok {
		w.Header().Set(name, value)
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(a.body)))
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body) // a client that has gone away is no reason to stop
}

// requestID is the id that an answer tells.
func requestID(call *Call) string { return fmt.Sprintf("00000000-0000-4000-a000-%012x", call.Seq) }

// resultAnswer writes a result in the form of its service.
func resultAnswer(call *Call, result any) *answer {
	e := &encoder{ec2: call.Service == EC2}
	namespace := map[Service]string{
		EC2:   "http://ec2.amazonaws.com/doc/" + ec2Version + "/",
		ELB:   "http://elasticloadbalancing.amazonaws.com/doc/" + elbVersion + "/",
		ELBV2: "http://elasticloadbalancing.amazonaws.com/doc/" + elbv2Version + "/",
		STS:   "https://sts.amazonaws.com/doc/" + stsVersion + "/",
	}[call.Service]
	fmt.Fprintf(&e.out, `<%sResponse xmlns="%s">`, call.Action, namespace)
	if e.ec2 {
		e.element("requestId", requestID(call))
		if result == nil {
			e.element("return", "true")
		}
		e.fields(result)
	} else {
		fmt.Fprintf(&e.out, "<%sResult>", call.Action)
		e.fields(result)
		fmt.Fprintf(&e.out, "</%sResult><ResponseMetadata>", call.Action)
		e.element("RequestId", requestID(call))
		e.out.WriteString("</ResponseMetadata>")
	}
	fmt.Fprintf(&e.out, "</%sResponse>", call.Action)
	return &answer{status: http.StatusOK, kind: "text/xml;charset=UTF-8", body: e.out.Bytes()}
}

// encoder writes structs as XML: what JSON has of them, under the same names,
// which EC2 begins with a small letter unless the field's tag ec2 says another.
type encoder struct {
	out bytes.Buffer
	ec2 bool
}

func (e *encoder) element(name, text string) {
	e.out.WriteString("<" + name + ">")
	_ = xml.EscapeText(&e.out, []byte(text)) // a buffer takes everything
	e.out.WriteString("</" + name + ">")
}

func (e *encoder) fields(result any) {
	if result == nil {
		return
	}
	v := reflect.ValueOf(result)
	for v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	e.structFields(v)
}

func (e *encoder) structFields(v reflect.Value) {
	for i := range v.NumField() {
		field := v.Type().Field(i)
		if field.Anonymous {
			e.structFields(v.Field(i))
			continue
		}
		tag := field.Tag.Get("json")
		if tag == "-" || strings.Contains(tag, ",omitempty") && v.Field(i).IsZero() {
			continue
		}
		e.value(e.name(field), v.Field(i))
	}
}

func (e *encoder) name(field reflect.StructField) string {
	name := jsonName(field)
	if !e.ec2 {
		return name
	}
	if given := field.Tag.Get("ec2"); given != "" {
		return given
	}
	return strings.ToLower(name[:1]) + name[1:]
}

func (e *encoder) value(name string, v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			e.value(name, v.Elem())
		}
	case reflect.Struct:
		e.out.WriteString("<" + name + ">")
		e.structFields(v)
		e.out.WriteString("</" + name + ">")
	case reflect.Slice:
		member := "member"
		if e.ec2 {
			member = "item"
		}
		e.out.WriteString("<" + name + ">")
		for i := range v.Len() {
			e.value(member, v.Index(i))
		}
		e.out.WriteString("</" + name + ">")
	default:
		e.element(name, fmt.Sprint(v.Interface()))
	}
}

// refusal is an error answer.
type refusal struct {
	status  int
	code    string
	message string
}

// Error is the sentence for those who make objects in Go.
func (r *refusal) Error() string { return r.code + ": " + r.message }

// refuse makes a refusal whose message is formatted.
func refuse(status int, code, format string, args ...any) *refusal {
	return &refusal{status: status, code: code, message: fmt.Sprintf(format, args...)}
}

// bad is the refusal of a request that breaks a rule.
func bad(code, format string, args ...any) *refusal {
	return refuse(http.StatusBadRequest, code, format, args...)
}

// invalid is the refusal of a value, in load balancing.
func invalid(format string, args ...any) *refusal { return bad("ValidationError", format, args...) }

// wrong is the refusal of a value, in EC2.
func wrong(format string, args ...any) *refusal { return bad("InvalidParameterValue", format, args...) }

// unfit is the refusal of a request that does not fit the load balancer.
func unfit(format string, args ...any) *refusal {
	return bad("InvalidConfigurationRequest", format, args...)
}

func (r *refusal) answer(call *Call) *answer {
	e := &encoder{}
	if call.Service == EC2 {
		e.out.WriteString("<Response><Errors><Error>")
		e.element("Code", r.code)
		e.element("Message", r.message)
		e.out.WriteString("</Error></Errors>")
		e.element("RequestID", requestID(call))
		e.out.WriteString("</Response>")
	} else {
		e.out.WriteString("<ErrorResponse><Error>")
		e.element("Type", "Sender")
		e.element("Code", r.code)
		e.element("Message", r.message)
		e.out.WriteString("</Error>")
		e.element("RequestId", requestID(call))
		e.out.WriteString("</ErrorResponse>")
	}
	a := &answer{status: r.status, kind: "text/xml", body: e.out.Bytes(), code: r.code}
	if call.Service == ELB && r.code == "InvalidConfigurationRequest" {
		a.status = http.StatusConflict // only so in the API of classic load balancers
	}
	return a
}
