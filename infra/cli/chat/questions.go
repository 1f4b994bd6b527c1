package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/client"
	"carrel/shared/visible"
)

const runsPage = 20

// question returns the first open interrupt without a response here, or nil. It drops responses to closed interrupts.
func (s *session) question(state client.State) *agui.Interrupt {
	open := func(id chat.InterruptID) bool {
		return slices.ContainsFunc(state.Interrupts, func(i agui.Interrupt) bool { return i.ID == id })
	}
	s.answers = slices.DeleteFunc(s.answers, func(a agui.Resume) bool { return !open(a.InterruptID) })
	for _, i := range state.Interrupts {
		if !slices.ContainsFunc(s.answers, func(a agui.Resume) bool { return a.InterruptID == i.ID }) {
			return &i
		}
	}
	return nil
}

// put prints the next open question once.
func (s *session) put(state client.State) {
	q := s.question(state)
	if q == nil || q.ID == s.putID {
		return
	}
	s.putID = q.ID
	fmt.Fprintln(s.std.out, "? "+describe(*q))
	if s.asked = false; !s.std.terminal {
		return
	}
	if q.Reason == agui.ReasonInputRequired {
		fmt.Fprintf(s.std.out, "  (write %s, or /refuse)\n", wanted(*q))
	} else if _, editable := shapeOf(*q).Properties["arguments"]; editable {
		fmt.Fprintln(s.std.out, "  (y or n, or /edit and other arguments as JSON)")
	} else {
		fmt.Fprintln(s.std.out, "  (y or n)")
	}
}

// describe returns a question as text for a person.
func describe(q agui.Interrupt) string {
	var about struct {
		Carrel struct {
			Tool      string          `json:"tool"`
			Arguments json.RawMessage `json:"arguments"`
		} `json:"carrel"`
	}
	call := "this"
	if json.Unmarshal(q.Metadata, &about) == nil && about.Carrel.Tool != "" {
		arguments := string(about.Carrel.Arguments)
		var quoted string
		if json.Unmarshal(about.Carrel.Arguments, &quoted) == nil {
			arguments = quoted
		}
		call = fmt.Sprintf("%s(%s)", about.Carrel.Tool, arguments)
	}
	said := q.Message + " " + call
	switch {
	case q.Message == "":
		said = "May the agent do " + call + "?"
	case q.Reason == agui.ReasonInputRequired:
		said = q.Message + choices(shapeOf(q))
	case call == "this":
		said = q.Message
	}
	return visible.Line(said)
}

// reply handles a person's response to a question. After the last one it requests the run that continues.
func (s *session) reply(q agui.Interrupt, line string) error {
	a := client.Approve(q)
	verb, rest, _ := strings.Cut(line, " ")
	var err error
	switch said := strings.ToLower(strings.TrimSpace(line)); {
	case said == "/refuse":
		a = client.Refuse(q)
	case q.Reason == agui.ReasonInputRequired:
		a.Payload, err = payload(shapeOf(q), line)
	case verb == "/edit":
		a, err = approval(q, rest)
	case said == "n" || said == "no":
		a = client.Refuse(q)
	case said != "y" && said != "yes":
		err = errors.New("this conversation awaits your decision: answer y or n")
	}
	if err != nil {
		return err
	}
	s.answers = append(s.answers, a)
	state := s.client.State()
	if s.question(state) != nil {
		return nil
	}
	answers := s.answers
	s.answers = nil
	_, err = s.client.Respond(answers, "")
	return err
}

// listRuns prints the first page of the user's runs, newest first. With "more" it prints the next page.
func (s *session) listRuns(ctx context.Context, which string) error {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	before := chat.ListCursor("")
	switch which = strings.TrimSpace(which); {
	case which == "more" && s.olderRuns == "":
		return errors.New("no older runs are left")
	case which == "more":
		before = s.olderRuns
	case which != "":
		return errors.New("use /runs, or /runs more for older ones")
	}
	page, err := s.client.Runs(ctx, before, runsPage)
	if err != nil {
		return fmt.Errorf("list the runs: %w", err)
	}
	s.olderRuns = page.Before
	for _, r := range page.Runs {
		var used chat.RunStats
		if r.Stats != nil {
			used = *r.Stats
		}
		took := "-"
		if r.Ended > 0 && r.Started > 0 {
			took = (time.Duration(r.Ended-r.Started) * time.Millisecond).Round(100 * time.Millisecond).String()
		}
		fmt.Fprintf(s.std.out, "%s  %-9s  %6s  models %d, tools %d  %s\n",
			time.UnixMilli(r.Created).Format(time.DateTime), r.Status, took, used.ModelCalls, used.ToolCalls, r.RunID)
	}
	switch {
	case len(page.Runs) == 0:
		fmt.Fprintln(s.std.out, "(no runs)")
	case page.More:
		fmt.Fprintln(s.std.out, "(older ones: /runs more)")
	}
	return nil
}
