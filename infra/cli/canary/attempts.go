package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"

	"carrel/shared/chat"
	"carrel/shared/client"
	"carrel/shared/wire"
)

// attempt is one try with a frame, about things of the other's or of nobody's.
type attempt struct {
	frame func(t things, n int64) map[string]any
	alike bool // the two answers must be the same, but for the things' names
}

// attempts are the tries of one type; none if it has no case.
func attempts(typ wire.Type, own string, erase bool) []attempt {
	frame := func(fields ...any) map[string]any {
		f := map[string]any{"type": typ}
		for i := 0; i < len(fields); i += 2 {
			f[fields[i].(string)] = fields[i+1]
		}
		return f
	}
	eachThread := func(fields ...any) (all []attempt) {
		for _, thread := range []func(things) chat.ThreadID{
			func(t things) chat.ThreadID { return t.said }, func(t things) chat.ThreadID { return t.asks }, func(t things) chat.ThreadID { return t.live },
		} {
			all = append(all, attempt{func(t things, _ int64) map[string]any {
				return frame(append([]any{"threadId", thread(t)}, fields...)...)
			}, true})
		}
		return all
	}
	switch typ {
	case wire.TypeHello:
		return []attempt{
			{func(t things, n int64) map[string]any { return frame("n", n, "threadId", t.said) }, true},
			{func(t things, n int64) map[string]any { return frame("n", n, "threadId", t.said, "cursor", cursor(t)) }, true},
			{func(t things, n int64) map[string]any { return frame("n", n, "threadId", t.asks) }, true},
			{func(t things, n int64) map[string]any { return frame("n", n, "threadId", t.live) }, true},
		}
	case wire.TypePing:
		return append(eachThread(), attempt{func(t things, _ int64) map[string]any { return frame("threadId", t.said, "cursor", cursor(t)) }, true})
	case wire.TypeHistory:
		return append(eachThread(), eachThread("before", 1000)...)
	case wire.TypeRename:
		return eachThread("title", own)
	case wire.TypeDelete:
		return eachThread()
	case wire.TypeCancel:
		return []attempt{
			{func(t things, _ int64) map[string]any { return frame("runId", t.liveRun) }, true},
			{func(t things, _ int64) map[string]any { return frame("runId", t.saidRun) }, true},
			{func(t things, _ int64) map[string]any { return frame("runId", t.asksRun) }, true},
		}
	case wire.TypeThreads, wire.TypeRuns:
		return listAttempts(frame, typ)
	case answers:
		return answerAttempts(frame)
	case wire.TypeRun:
		return runAttempts(frame, own)
	}
	return lastAttempts(typ, frame, erase)
}

// lastAttempts are those of frames that name nobody. Confirmed, they would end the one's account, or its session.
func lastAttempts(typ wire.Type, frame func(fields ...any) map[string]any, erase bool) []attempt {
	switch typ {
	case wire.TypeSignOut:
		return []attempt{{func(things, int64) map[string]any { return frame("everywhere", false) }, true}}
	case wire.TypeErase:
		return []attempt{{func(things, int64) map[string]any { return frame("confirm", erase) }, false}}
	}
	return nil
}

// listAttempts are pages from the top, and behind a row of the other's or of nobody's.
func listAttempts(frame func(fields ...any) map[string]any, typ wire.Type) []attempt {
	top := func(things, int64) map[string]any { return frame() }
	if typ == wire.TypeRuns { // of the one's own cancels, with their names
		return []attempt{{top, false}, {func(t things, _ int64) map[string]any {
			return frame("before", listCursor("R#", string(t.saidRun)), "limit", 100)
		}, false}}
	}
	return []attempt{{top, true}, {func(t things, _ int64) map[string]any {
		return frame("before", listCursor("T#1#", string(t.said)), "limit", 100)
	}, true}}
}

// listCursor is a cursor of a list as the server makes it of a row with this id.
func listCursor(prefix, id string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(prefix + "9999999999999#" + id))
}

func cursor(t things) map[string]any { return map[string]any{"epoch": t.epoch, "seq": 0} }

func answerAttempts(frame func(fields ...any) map[string]any) []attempt {
	return []attempt{{func(t things, n int64) map[string]any {
		answer := map[string]any{"interruptId": t.question, "status": "resolved", "payload": map[string]any{"approved": true}}
		return frame("type", wire.TypeRun, "n", n, "runId", client.NewID(), "threadId", t.asks, "messages", []any{}, "resume", []any{answer})
	}, true}}
}

func runAttempts(frame func(fields ...any) map[string]any, own string) []attempt {
	said := []map[string]any{{"id": client.NewID(), "role": "user", "content": "/say " + own}}
	return []attempt{
		{func(t things, n int64) map[string]any {
			return frame("n", n, "runId", t.saidRun, "threadId", t.said, "messages", said)
		}, true},
		{func(t things, n int64) map[string]any {
			return frame("n", n, "runId", client.NewID(), "threadId", t.live, "messages", said, "whenBusy", "interrupt")
		}, true},
	}
}

func contains(raw []byte, text string) bool { return text != "" && bytes.Contains(raw, []byte(text)) }

// shape is an answer without what differs between any two: the names of the things, numbers and times of the moment.
func shape(raw []byte, t things) string {
	var fields map[string]any
	if err := json.Unmarshal(raw, &fields); err != nil {
		return "no JSON"
	}
	for _, name := range []string{"requestId", "n", "reconnectInMs", "connectionId", "runId", "runs", "position", "state"} {
		if name == "state" && fields["type"] == string(wire.TypeAccepted) || name != "state" {
			delete(fields, name)
		}
	}
	text := fmt.Sprint(fields)
	for _, id := range []string{string(t.said), string(t.live), string(t.asks)} {
		text = strings.ReplaceAll(text, id, "the thread")
	}
	return text
}
