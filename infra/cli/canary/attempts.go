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

// attempt is a frame about the victim's ids or about absent ones.
type attempt struct {
	frame func(t ids, n int64) map[string]any
	alike bool // the two answers must be equal except for the ids
}

// attempts returns the attempts of one type; none if the type has no case.
func attempts(typ wire.Type, own string, erase bool) []attempt {
	frame := func(fields ...any) map[string]any {
		f := map[string]any{"type": typ}
		for i := 0; i < len(fields); i += 2 {
			f[fields[i].(string)] = fields[i+1]
		}
		return f
	}
	eachThread := func(fields ...any) (all []attempt) {
		for _, thread := range []func(ids) chat.ThreadID{
			func(t ids) chat.ThreadID { return t.said }, func(t ids) chat.ThreadID { return t.asks }, func(t ids) chat.ThreadID { return t.live },
		} {
			all = append(all, attempt{func(t ids, _ int64) map[string]any {
				return frame(append([]any{"threadId", thread(t)}, fields...)...)
			}, true})
		}
		return all
	}
	switch typ {
	case wire.TypeHello:
		return []attempt{
			{func(t ids, n int64) map[string]any { return frame("n", n, "threadId", t.said) }, true},
			{func(t ids, n int64) map[string]any { return frame("n", n, "threadId", t.said, "cursor", cursor(t)) },
				true},
			{func(t ids, n int64) map[string]any { return frame("n", n, "threadId", t.asks) }, true},
			{func(t ids, n int64) map[string]any { return frame("n", n, "threadId", t.live) }, true},
		}
	case wire.TypePing:
		withCursor := func(t ids, _ int64) map[string]any {
			return frame("threadId", t.said, "cursor", cursor(t))
		}
		return append(eachThread(), attempt{withCursor, true})
	case wire.TypeHistory:
		return append(eachThread(), eachThread("before", 1000)...)
	case wire.TypeRename:
		return eachThread("title", own)
	case wire.TypeDelete:
		return eachThread()
	case wire.TypeCancel:
		return []attempt{
			{func(t ids, _ int64) map[string]any { return frame("runId", t.liveRun) }, true},
			{func(t ids, _ int64) map[string]any { return frame("runId", t.saidRun) }, true},
			{func(t ids, _ int64) map[string]any { return frame("runId", t.asksRun) }, true},
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

// lastAttempts returns the attempts with frames that name no id. With a confirmation they would end the attacker's
// session or erase the attacker.
func lastAttempts(typ wire.Type, frame func(fields ...any) map[string]any, erase bool) []attempt {
	switch typ {
	case wire.TypeSignOut:
		return []attempt{{func(ids, int64) map[string]any { return frame("everywhere", false) }, true}}
	case wire.TypeErase:
		return []attempt{{func(ids, int64) map[string]any { return frame("confirm", erase) }, false}}
	}
	return nil
}

// listAttempts returns requests for the first page, and for the page after a row of the victim or an absent one.
func listAttempts(frame func(fields ...any) map[string]any, typ wire.Type) []attempt {
	top := func(ids, int64) map[string]any { return frame() }
	if typ == wire.TypeRuns { // the attacker's own runs are in it
		return []attempt{{top, false}, {func(t ids, _ int64) map[string]any {
			return frame("before", listCursor("R#", string(t.saidRun)), "limit", 100)
		}, false}}
	}
	return []attempt{{top, true}, {func(t ids, _ int64) map[string]any {
		return frame("before", listCursor("T#1#", string(t.said)), "limit", 100)
	}, true}}
}

// listCursor makes a list cursor as the server does, for a row with this id.
func listCursor(prefix, id string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(prefix + "9999999999999#" + id))
}

func cursor(t ids) map[string]any { return map[string]any{"epoch": t.epoch, "seq": 0} }

func answerAttempts(frame func(fields ...any) map[string]any) []attempt {
	return []attempt{{func(t ids, n int64) map[string]any {
		answer := map[string]any{"interruptId": t.question, "status": "resolved",
			"payload": map[string]any{"approved": true}}
		return frame("type", wire.TypeRun, "n", n, "runId", client.NewID(), "threadId", t.asks, "messages", []any{},
			"resume", []any{answer})
	}, true}}
}

func runAttempts(frame func(fields ...any) map[string]any, own string) []attempt {
	said := []map[string]any{{"id": client.NewID(), "role": "user", "content": "/say " + own}}
	return []attempt{
		{func(t ids, n int64) map[string]any {
			return frame("n", n, "runId", t.saidRun, "threadId", t.said, "messages", said)
		}, true},
		{func(t ids, n int64) map[string]any {
			return frame("n", n, "runId", client.NewID(), "threadId", t.live, "messages", said, "whenBusy", "interrupt")
		}, true},
	}
}

func contains(raw []byte, text string) bool { return text != "" && bytes.Contains(raw, []byte(text)) }

// shape returns an answer without the ids, numbers and times that differ between any two answers.
func shape(raw []byte, t ids) string {
	var fields map[string]any
	if err := json.Unmarshal(raw, &fields); err != nil {
		return "no JSON"
	}
	for _, name := range []string{"requestId", "n", "reconnectInMs", "connectionId", "runId", "runs", "position",
		"state"} {
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
