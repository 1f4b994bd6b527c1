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

// maxTitle is the length of a title in characters.
const maxTitle = 60

// The states of Accepted.
const (
	stateRunning = "running"
	stateQueued  = "queued"
	stateEnded   = "ended"
)

// run points the connection at the thread of the run, so that it misses no event, then stores the run and starts it.
func (r *request) run(ctx context.Context, f *wire.Run) error {
	a, err := r.store.Admit(ctx, r.admission(f))
	if err != nil {
		return err
	}
	// The run is durable, so neither call needs the other. If the invocation fails, sweep starts the run. If the answer
	// fails, the client repeats the frame.
	err = together(
		func() error {
			if a.Invoke {
				r.startRun(ctx, a.Run.ID)
			}
			return nil
		},
		func() error {
			return r.answer(ctx, &wire.Accepted{
				RequestID: r.id, RunID: a.Run.ID, ThreadID: a.Run.Thread, State: state(a.Run.Status),
				Position: a.Position,
			})
		},
	)
	if a.Run.Status == chat.RunQueued && !a.Repeat { // turn broadcasts a run that begins
		r.broadcastThread(ctx, a.Run.Thread)
	}
	return err
}

// admission returns the request to admit a run. The store fills in the interrupts that the responses belong to.
func (r *request) admission(f *wire.Run) store.Admission {
	a := store.Admission{
		Run: f.RunID, Thread: f.ThreadID, Agent: f.Agent, Messages: f.Messages,
		Grants: r.in.Grants, WhenBusy: f.WhenBusy, Judge: r.checkResponses,
		Owned: func(ctx context.Context) error {
			if err := r.watchRun(ctx, f.ThreadID, f.N); err != nil {
				return err
			}
			_, err := r.agents.Find(f.Agent, r.in.Grants)
			return err
		},
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

// title returns a title from the first words of a message: complete words, on one line, with hidden characters spelled
// out. If the first word is too long, it is cut.
func title(text string) string {
	words, title := strings.Fields(text), ""
	for i, word := range words {
		word = visible.Line(word)
		longer := strings.TrimSpace(title + " " + word)
		n := utf8.RuneCountInString(longer)
		if i < len(words)-1 {
			n++ // for the ellipsis
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
