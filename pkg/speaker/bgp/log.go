// SPDX-License-Identifier: Apache-2.0

package bgp

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"github.com/osrg/gobgp/v4/api"
	"github.com/osrg/gobgp/v4/pkg/apiutil"
	"github.com/osrg/gobgp/v4/pkg/packet/bgp"
)

// logHandler passes GoBGP's log on, one level lower, and listens to it: why a
// connection cannot be made, or an OPEN is refused, stands nowhere else.
type logHandler struct {
	next  slog.Handler
	fault func(string)
}

func newLogHandler(next slog.Handler, fault func(string)) logHandler {
	return logHandler{next: next, fault: fault}
}

// lower makes GoBGP's levels ours: a session's ups and downs are told by the
// speaker, so what GoBGP says of them is detail.
func lower(l slog.Level) slog.Level {
	switch {
	case l >= slog.LevelError:
		return l
	case l >= slog.LevelWarn:
		return slog.LevelInfo - 2
	default:
		return l - 4
	}
}

// Enabled is always true: the faults are told at the lowest level.
func (h logHandler) Enabled(context.Context, slog.Level) bool { return true }

// Handle listens to a record and passes it on where its level is wanted.
func (h logHandler) Handle(ctx context.Context, r slog.Record) error {
	if f := faultOf(r); f != "" {
		h.fault(f)
	}
	level := lower(r.Level)
	if strings.HasPrefix(r.Message, "failed to stop BGP server") || !h.next.Enabled(ctx, level) {
		return nil
	}
	r.Level = level
	return h.next.Handle(ctx, r)
}

// WithAttrs returns a handler that adds attributes.
func (h logHandler) WithAttrs(as []slog.Attr) slog.Handler {
	h.next = h.next.WithAttrs(as)
	return h
}

// WithGroup returns a handler that opens a group.
func (h logHandler) WithGroup(name string) slog.Handler {
	h.next = h.next.WithGroup(name)
	return h
}

// faultOf reads a record that tells why there is no session. The texts are
// those of GoBGP v4.8.0, pkg/server/fsm.go; a test holds them.
func faultOf(r slog.Record) string {
	switch r.Message {
	case "failed to connect":
		return "cannot connect: " + dialError(attr(r, "Error"))
	case "outgoing connection IO error":
		return disconnected(attr(r, "reason"))
	case "sent notification":
		return "told the peer: " + notification(r)
	case "received notification":
		return "the peer said: " + notification(r)
	default:
		return ""
	}
}

// dialError shortens what net says of a connection that failed.
func dialError(text string) string {
	if i := strings.LastIndex(text, ": "); i >= 0 {
		text = text[i+2:]
	}
	if text == "i/o timeout" {
		text = "no answer in time; is the address right, and the password (a wrong one looks the same)?"
	}
	return text
}

func notification(r slog.Record) string {
	var code, sub uint8
	r.Attrs(func(a slog.Attr) bool {
		switch a.Key {
		case "Code":
			code = uint8(a.Value.Int64()) //nolint:gosec // one byte on the wire
		case "Subcode":
			sub = uint8(a.Value.Int64()) //nolint:gosec // one byte on the wire
		}
		return true
	})
	text := notified(bgp.NewNotificationErrorCode(code, sub).String())
	if c := attr(r, "Communicated-Reason"); c != "" {
		text += fmt.Sprintf(", saying %q", c)
	}
	return text
}

// notified shortens GoBGP's text of a NOTIFICATION, which is of the form
// "code 2(open) subcode 2(bad peer as)".
func notified(text string) string {
	var code, sub int
	if _, err := fmt.Sscanf(text, "code %d(", &code); err != nil {
		return text
	}
	head, tail, ok := strings.Cut(text, ") subcode ")
	if !ok {
		return text
	}
	if _, err := fmt.Sscanf(tail, "%d(", &sub); err != nil {
		return text
	}
	_, name, _ := strings.Cut(strings.TrimSuffix(tail, ")"), "(")
	if name == "undefined" {
		_, name, _ = strings.Cut(head, "(")
	}
	out := fmt.Sprintf("%s (NOTIFICATION %d/%d)", name, code, sub)
	if code == bgp.BGP_ERROR_OPEN_MESSAGE_ERROR && sub == bgp.BGP_ERROR_SUB_BAD_PEER_AS {
		out += "; compare peerASN and myASN with the router's"
	}
	return out
}

func attr(r slog.Record, key string) string {
	out := ""
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == key {
			out = a.Value.String()
			return false
		}
		return true
	})
	return out
}

// downReason says why a session that was up went down.
func downReason(s apiutil.PeerState) string {
	switch s.DisconnectReason {
	case api.PeerState_DISCONNECT_REASON_HOLD_TIMER_EXPIRED:
		return "nothing heard from the peer for the hold time"
	case api.PeerState_DISCONNECT_REASON_READ_FAILED,
		api.PeerState_DISCONNECT_REASON_WRITE_FAILED,
		api.PeerState_DISCONNECT_REASON_GRACEFUL_RESTART:
		return "the connection broke"
	default:
		return disconnected(s.DisconnectMessage)
	}
}

// disconnected puts GoBGP's words into ours.
func disconnected(reason string) string {
	sent, isSent := strings.CutPrefix(reason, "notification-sent ")
	received, isReceived := strings.CutPrefix(reason, "notification-received ")
	switch {
	case reason == "":
		return "the session ended"
	case reason == "read-failed", reason == "write-failed", reason == "invalid-msg":
		return "the peer ended the connection before the session was up; check the AS numbers and that it knows this node's address"
	case isReceived:
		return "the peer said: " + notified(received)
	case isSent:
		return "told the peer: " + notified(sent)
	default:
		return reason
	}
}
