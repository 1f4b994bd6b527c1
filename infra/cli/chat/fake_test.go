package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/coder/websocket"

	"carrel/infra/local/endpoints"
	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/wire"
)

// fakeStack is as much of a stack as a chat needs: a token endpoint and a socket that answers each run by adding, with
// a tool call, or by failing if the text is "fail".
type fakeStack struct {
	*httptest.Server
	heads map[chat.ThreadID]chat.Seq
	title string
	lost  atomic.Bool // the socket was, once
}

func newStack(t *testing.T) (endpointsFile string) { return newStackWith(t, "an old one") }

// newStackWith is a stack whose one thread has this title.
func newStackWith(t *testing.T, title string) (endpointsFile string) {
	s := &fakeStack{heads: map[chat.ThreadID]chat.Seq{}, title: title}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /token", func(w http.ResponseWriter, r *http.Request) {
		if r.FormValue("user") == "nobody" {
			http.Error(w, "the user does not exist", http.StatusBadRequest)
			return
		}
		fmt.Fprintf(w, `{"access_token": "for-%s", "token_type": "Bearer", "expires_in": 3600}`, r.FormValue("user"))
	})
	mux.HandleFunc("/ws", s.socket)
	s.Server = httptest.NewServer(mux)
	t.Cleanup(s.Close)
	endpointsFile = filepath.Join(t.TempDir(), "endpoints.json")
	e := endpoints.Endpoints{WebSocket: s.URL + "/ws", Token: s.URL + "/token", DynamoDB: "x", Table: "x"}
	if err := e.Write(endpointsFile); err != nil {
		t.Fatal(err)
	}
	return endpointsFile
}

func (s *fakeStack) socket(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "Bearer for-alice" {
		http.Error(w, "Unauthorized", http.StatusUnauthorized)
		return
	}
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{wire.Subprotocol}})
	if err != nil {
		return
	}
	defer conn.CloseNow()
	for {
		_, data, err := conn.Read(r.Context())
		if err != nil {
			return
		}
		frame, bad := wire.DecodeClient(data)
		if bad != nil {
			panic(bad.Message)
		}
		if r, ok := frame.(*wire.Run); ok && len(r.Messages) > 0 && r.Messages[0].Content == "get lost" &&
			s.lost.CompareAndSwap(false, true) {
			return
		}
		for _, f := range s.answer(frame) {
			messages, err := wire.Encode(f, "p")
			if err != nil {
				panic(err)
			}
			if conn.Write(r.Context(), websocket.MessageText, messages[0]) != nil {
				return
			}
		}
	}
}

func (s *fakeStack) answer(frame wire.ClientFrame) []wire.ServerFrame {
	switch f := frame.(type) {
	case *wire.Hello:
		if f.ThreadID == "old" {
			return []wire.ServerFrame{&wire.Ready{N: f.N, ThreadID: "old", Epoch: "e", Head: 2},
				&wire.Snapshot{N: f.N, ThreadID: "old", Epoch: "e", Seq: 2, Messages: []agui.Message{{ID: "q", Role: agui.RoleUser, Content: "before?"},
					{ID: "a", Role: agui.RoleAssistant, Content: "long ago"},
				}}}
		}
		return []wire.ServerFrame{&wire.Ready{N: f.N, ThreadID: f.ThreadID,
			Agents: []wire.Agent{{Name: "first", Description: "Adds."},
				{Name: "second", Description: "Says its\nname."}}}}
	case *wire.Threads:
		return []wire.ServerFrame{&wire.ThreadList{Threads: []wire.ThreadInfo{{ThreadID: "old", Title: s.title,
			Status: chat.ThreadIdle, Updated: 1}}}}
	case *wire.Run:
		switch {
		case len(f.Resume) > 0:
			return s.resume(f)
		case strings.HasPrefix(f.Messages[0].Content, "ask "):
			return s.ask(f)
		case f.Messages[0].Content == "too much":
			return []wire.ServerFrame{&wire.Rejected{RequestID: f.RequestID, RunID: f.RunID, Code: wire.CodeRateLimited,
				Message: "Wait.", RetryAfterMS: 6000}}
		}
		return s.run(f)
	case *wire.Runs:
		next := map[chat.ListCursor]chat.ListCursor{"": "7"}[f.Before]
		return []wire.ServerFrame{&wire.RunList{RequestID: f.RequestID, More: next != "", Before: next,
			Runs: []wire.RunInfo{
				{RunID: chat.RunID("r" + f.Before), Status: chat.RunSuspended, Created: 1, Started: 1000, Ended: 4200,
					Stats: &chat.RunStats{ModelCalls: 2, ToolCalls: 1}},
			}}}
	}
	return nil
}

// events makes a run's events the thread's next ones.
func (s *fakeStack) events(f *wire.Run, events ...agui.Event) *wire.Events {
	s.heads[f.ThreadID] += chat.Seq(len(events))
	return &wire.Events{ThreadID: f.ThreadID, Epoch: "e", Seq: s.heads[f.ThreadID] - chat.Seq(len(events)) + 1,
		RunID: f.RunID, Events: events}
}

// ask is a run that ends with questions: of the words behind "ask" each is one.
func (s *fakeStack) ask(f *wire.Run) []wire.ServerFrame {
	events := []agui.Event{{Type: agui.RunStarted, RunID: f.RunID, Input: &agui.RunInput{Messages: f.Messages}}}
	last := agui.Event{Type: agui.RunFinished, RunID: f.RunID, Outcome: &agui.Outcome{Type: agui.OutcomeInterrupt}}
	for _, word := range strings.Fields(f.Messages[0].Content)[1:] {
		i := agui.Interrupt{ID: chat.InterruptID("i-" + word), Reason: agui.ReasonToolCall, ToolCallID: word,
			Message:  "May I?",
			Metadata: json.RawMessage(`{"carrel":{"tool":"` + word + `","arguments":"{}"}}`)}
		if word == "city" {
			i.Reason, i.Message = agui.ReasonInputRequired, "Which city?"
		}
		if schema := map[string]string{
			"color": `{"type":"string","enum":["red","green"]}`, "days": `{"type":"integer"}`, "trick": `{}`,
			"trip": `{"type":"object","properties":{"days":{"type":"integer"}}}`, "form": `{"type":"object","properties":{"a":{},"b":{}}}`,
			"who": `{"enum":["Zoe\u0308","Bob",7,true]}`, "any": `{"type":["number","null"]}`, "some": `{"anyOf":[{"type":"number"}]}`,
			"pay": `{"type":"object","properties":{"approved":{"type":"boolean"},"arguments":{"type":"object"}}}`,
		}[word]; schema != "" {
			i.Reason, i.Message, i.ResponseSchema = agui.ReasonInputRequired, "Which "+word+"?", json.RawMessage(schema)
			i.Message = strings.Replace(i.Message, "trick", "\x1b[2Jtrick", 1)
		}
		if word == "pay" {
			i.Reason, i.Message = agui.ReasonToolCall, "May I?"
		}
		last.Outcome.Interrupts = append(last.Outcome.Interrupts, i)
		events = append(events, agui.Event{Type: agui.ToolCallStart, ToolCallID: word, ToolCallName: word},
			agui.Event{Type: agui.ToolCallArgs, ToolCallID: word, Delta: "{}"},
			agui.Event{Type: agui.ToolCallEnd, ToolCallID: word})
	}
	return []wire.ServerFrame{&wire.Accepted{RequestID: f.RequestID, RunID: f.RunID, ThreadID: f.ThreadID,
		State: "running"},
		s.events(f, append(events, last)...)}
}

// resume makes a run that repeats the responses.
func (s *fakeStack) resume(f *wire.Run) []wire.ServerFrame {
	events := []agui.Event{{Type: agui.RunStarted, RunID: f.RunID, Input: &agui.RunInput{Resume: f.Resume}}}
	for _, a := range f.Resume {
		said := strings.TrimSpace(string(a.Status) + " " + string(a.Payload))
		events = append(events, agui.Event{Type: agui.ToolCallResult,
			MessageID:  string(f.RunID + "." + chat.RunID(a.InterruptID)),
			ToolCallID: strings.TrimPrefix(string(a.InterruptID), "i-"), Content: &said})
	}
	events = append(events, agui.Event{Type: agui.RunFinished, RunID: f.RunID,
		Outcome: &agui.Outcome{Type: agui.OutcomeSuccess}})
	return []wire.ServerFrame{&wire.Accepted{RequestID: f.RequestID, RunID: f.RunID, ThreadID: f.ThreadID,
		State: "running"}, s.events(f, events...)}
}

func (s *fakeStack) run(f *wire.Run) []wire.ServerFrame {
	out := []wire.ServerFrame{&wire.Accepted{RequestID: f.RequestID, RunID: f.RunID, ThreadID: f.ThreadID,
		State: "running"}}
	say := func(events ...agui.Event) {
		out = append(out, &wire.Events{ThreadID: f.ThreadID, Epoch: "e", Seq: s.heads[f.ThreadID] + 1, RunID: f.RunID,
			Events: events})
		s.heads[f.ThreadID] += chat.Seq(len(events))
	}
	id, four := "a."+string(f.RunID), "4"
	if f.Messages[0].Content == "hostile" {
		bad := "\x1b]0;title\x07\x1b[2J"
		say(agui.Event{Type: agui.RunStarted, RunID: f.RunID, Input: &agui.RunInput{Messages: f.Messages}},
			agui.Event{Type: agui.TextMessageStart, MessageID: id},
			agui.Event{Type: agui.TextMessageContent, MessageID: id, Delta: "one\n\ttwo \x1b]52;c;aGk="})
		say(agui.Event{Type: agui.TextMessageContent, MessageID: id, Delta: "\x07 👩\u200d"})
		say(agui.Event{Type: agui.TextMessageContent, MessageID: id, Delta: "🚀 a\u200d"},
			agui.Event{Type: agui.TextMessageEnd, MessageID: id},
			agui.Event{Type: agui.ToolCallStart, ToolCallID: "c", ToolCallName: "do" + bad},
			agui.Event{Type: agui.ToolCallArgs, ToolCallID: "c", Delta: `{"a":"` + "\u202e" + `"}`},
			agui.Event{Type: agui.ToolCallEnd, ToolCallID: "c"},
			agui.Event{Type: agui.ToolCallResult, MessageID: "t", ToolCallID: "c", Content: &bad},
			agui.Event{Type: agui.RunError, Code: "internal", Message: bad})
		return out
	}
	say(agui.Event{Type: agui.RunStarted, RunID: f.RunID, Input: &agui.RunInput{Messages: f.Messages}},
		agui.Event{Type: agui.TextMessageStart, MessageID: id},
		agui.Event{Type: agui.TextMessageContent, MessageID: id, Delta: "Let me "})
	if f.Messages[0].Content == "who?" {
		say(agui.Event{Type: agui.TextMessageContent, MessageID: id, Delta: "be " + f.Agent + "."},
			agui.Event{Type: agui.TextMessageEnd, MessageID: id},
			agui.Event{Type: agui.RunFinished, RunID: f.RunID, Outcome: &agui.Outcome{Type: agui.OutcomeSuccess}})
		return out
	}
	if f.Messages[0].Content == "fail" {
		say(agui.Event{Type: agui.TextMessageEnd, MessageID: id},
			agui.Event{Type: agui.RunError, Code: "internal", Message: "The model is away."})
		return out
	}
	call := "c." + string(f.RunID)
	say(agui.Event{Type: agui.TextMessageContent, MessageID: id, Delta: "see."},
		agui.Event{Type: agui.TextMessageEnd, MessageID: id},
		agui.Event{Type: agui.ToolCallStart, ToolCallID: call, ToolCallName: "calculator", ParentMessageID: id},
		agui.Event{Type: agui.ToolCallArgs, ToolCallID: call, Delta: `{"expression":"2+2"}`},
		agui.Event{Type: agui.ToolCallEnd, ToolCallID: call})
	say(agui.Event{Type: agui.ToolCallResult, MessageID: "t." + string(f.RunID), ToolCallID: call, Content: &four},
		agui.Event{Type: agui.TextMessageStart, MessageID: "b." + string(f.RunID)},
		agui.Event{Type: agui.TextMessageContent, MessageID: "b." + string(f.RunID), Delta: "It is 4."},
		agui.Event{Type: agui.TextMessageEnd, MessageID: "b." + string(f.RunID)},
		agui.Event{Type: agui.RunFinished, RunID: f.RunID, Outcome: &agui.Outcome{Type: agui.OutcomeSuccess}})
	return out
}
