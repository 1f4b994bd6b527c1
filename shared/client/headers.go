package client

import (
	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/wire"
)

// Run is the run of a message. The model and the usage are known when the run has ended.
type Run struct {
	RunID chat.RunID `json:"runId"`
	Seq   chat.Seq   `json:"seq"` // of its RUN_STARTED
	agui.Header
}

// headers are the runs of a thread whose messages the client has.
type headers map[chat.RunID]Run

// follow applies the next event of a run.
func (h headers) follow(id chat.RunID, seq chat.Seq, e agui.Event) {
	run := h[id]
	if e.Type == agui.RunStarted {
		run = Run{RunID: id, Seq: seq}
	}
	if run.RunID != "" {
		run.Add(e)
		h[id] = run
	}
}

// of returns the run of each of the folder's messages, by the message's id.
func (h headers) of(f *agui.Folder, messages []agui.Message) map[string]Run {
	all := make(map[string]Run, len(messages))
	for i, id := range f.Runs() {
		if run, known := h[id]; known {
			all[messages[i].ID] = run
		}
	}
	return all
}

// restated folds the messages of a snapshot, each as a message of its run.
func restated(messages []agui.Message, runs []wire.RunHeader) (agui.Folder, headers) {
	var f agui.Folder
	h := headers{}
	for _, r := range runs {
		n := min(max(r.Messages, 0), len(messages))
		h[r.RunID] = Run{RunID: r.RunID, Seq: r.Seq, Header: r.Header}
		f.Add(agui.Event{Type: agui.RunStarted, RunID: r.RunID, Input: &agui.RunInput{Messages: messages[:n]}})
		messages = messages[n:]
	}
	f.Add(agui.Event{Type: agui.RunStarted, Input: &agui.RunInput{Messages: messages}})
	return f, h
}
