package main

import (
	"context"
	"strings"
	"unicode/utf8"

	"carrel/shared/chars"
	"carrel/shared/chat"
	"carrel/shared/store"
	"carrel/shared/visible"
	"carrel/shared/wire"
)

// maxTitle is in characters.
const maxTitle = 60

// The states of Accepted.
const (
	stateRunning = "running"
	stateQueued  = "queued"
	stateEnded   = "ended"
)

// run switches its connection to its thread, so that no event of it is missed, records the run and starts it.
func (r *request) run(ctx context.Context, f *wire.Run) error {
	if _, err := r.watch(ctx, f.ThreadID, f.N, nil); err != nil {
		return err
	}
	if err := r.agent(f.Agent); err != nil {
		return err
	}
	a, err := r.store.Admit(ctx, r.admission(f))
	if err != nil {
		return err
	}
	if a.Invoke {
		r.invoke(ctx, a.Run.ID)
	}
	err = r.answer(ctx, &wire.Accepted{
		RequestID: r.id, RunID: a.Run.ID, ThreadID: a.Run.Thread, State: state(a.Run.Status), Position: a.Position,
	})
	if a.Run.Status == chat.RunQueued && !a.Repeat { // turn tells of one that begins
		r.tellRow(ctx, a.Run.Thread)
	}
	return err
}

// admission is what the store is asked for. It fills in what the answers are to.
func (r *request) admission(f *wire.Run) store.Admission {
	a := store.Admission{
		Run: f.RunID, Thread: f.ThreadID, Agent: f.Agent, Messages: f.Messages,
		Grants: r.in.Grants, WhenBusy: f.WhenBusy, Judge: r.judge,
	}
	if len(f.Messages) > 0 {
		a.Title = title(f.Messages[0].Content)
	}
	for _, answer := range f.Resume {
		a.Responses = append(a.Responses, store.Response{Resume: answer})
	}
	return a
}

func state(s chat.RunStatus) string {
	switch {
	case s == chat.RunQueued:
		return stateQueued
	case s.Terminal():
		return stateEnded
	}
	return stateRunning
}

// title names a thread after the first words that were said in it: whole ones, on one line, with hidden characters spelled
// out. A first word that is too long is cut.
func title(text string) string {
	words, title := strings.Fields(text), ""
	for i, word := range words {
		word = visible.Line(word)
		longer := strings.TrimSpace(title + " " + word)
		n := utf8.RuneCountInString(longer)
		if i < len(words)-1 {
			n++ // for the sign that more was said
		}
		if n > maxTitle {
			if title == "" {
				title = chars.HeadPoints(word, maxTitle-1)
			}
			return title + "…"
		}
		title = longer
	}
	return title
}
