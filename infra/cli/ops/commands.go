package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"carrel/shared/chat"
	"carrel/shared/store"
	"carrel/shared/visible"
)

// row is one run or one erasure in the output.
type row struct {
	Kind     string         `json:"kind"` // run, erasure or forget
	User     string         `json:"user"`
	Run      chat.RunID     `json:"run,omitempty"`
	Thread   chat.ThreadID  `json:"thread,omitempty"`
	Status   chat.RunStatus `json:"status,omitempty"`
	Age      string         `json:"age,omitempty"`
	Attempts int            `json:"attempts,omitempty"`
	Cancel   bool           `json:"cancelRequested,omitempty"`
	Lease    string         `json:"lease,omitempty"` // until it expires; negative after that
	Deadline time.Time      `json:"deadline"`
}

// subject returns the user's id of their tokens: the unescaped key. A hashed key stays as it is.
func subject(u chat.User) string {
	key := u.Key()
	if id, err := url.PathUnescape(strings.ReplaceAll(key, "=", "%")); err == nil && !strings.HasPrefix(key, "h=") {
		return id
	}
	return key
}

// rowOf reads the run of one entry. It returns false if the run has ended and the index is not up to date.
func (o *operator) rowOf(ctx context.Context, e store.LiveEntry) (row, bool, error) {
	r := row{User: subject(e.User), Deadline: e.Due}
	switch {
	case e.EraseUser:
		r.Kind = "forget"
		return r, true, nil
	case e.Run == "":
		r.Kind, r.Thread = "erasure", e.Erasure.Thread
		return r, true, nil
	}
	s, err := o.place.table.For(e.User)
	if err != nil {
		return r, false, err
	}
	run, err := s.Run(ctx, e.Run)
	if errors.Is(err, chat.ErrNotFound) || err == nil && run.Status.Terminal() {
		return r, false, nil
	}
	if err != nil {
		return r, false, err
	}
	return o.runRow(subject(e.User), run), true, nil
}

func (o *operator) runRow(user string, run store.Run) row {
	r := row{
		Kind: "run", User: user, Run: run.ID, Thread: run.Thread, Status: run.Status, Cancel: run.CancelRequested,
		Age: o.now().Sub(run.Created).Round(time.Second).String(), Attempts: run.Attempts, Deadline: run.Deadline,
	}
	if run.Status == chat.RunRunning {
		r.Lease = run.LeaseExpires.Sub(o.now()).Round(time.Second).String()
	}
	return r
}

func list(ctx context.Context, o *operator) error {
	live, unread := o.place.table.Live(ctx) // rows that can be read are shown, also after an error
	rows := []row{}
	for _, e := range live {
		r, there, err := o.rowOf(ctx, e)
		if err != nil {
			return err
		}
		if there {
			rows = append(rows, r)
		}
	}
	slices.SortFunc(rows, func(a, b row) int {
		return cmp.Or(cmp.Compare(a.User, b.User), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Run, b.Run))
	})
	return errors.Join(o.print(rows, lines(rows)), unread)
}

// lines formats rows as a table.
func lines(rows []row) []string {
	if len(rows) == 0 {
		return []string{"No run is running or queued."}
	}
	var b bytes.Buffer
	w := tabwriter.NewWriter(&b, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "USER\tRUN\tTHREAD\tSTATUS\tAGE\tATTEMPTS\tLEASE\tDEADLINE")
	for _, r := range rows {
		status := cmp.Or(string(r.Status), r.Kind)
		if r.Cancel {
			status += ", to be cancelled"
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%d\t%s\t%s\n", visible.Line(r.User), r.Run, r.Thread, status, r.Age,
			r.Attempts, r.Lease, r.Deadline.Local().Format(time.DateTime))
	}
	if err := w.Flush(); err != nil {
		return []string{err.Error()}
	}
	return strings.Split(strings.TrimRight(b.String(), "\n"), "\n")
}

// verdict is the result of a kill.
type verdict struct {
	User   string         `json:"user"`
	Run    chat.RunID     `json:"run"`
	Status chat.RunStatus `json:"status"`
	Said   string         `json:"said"`
}

func kill(ctx context.Context, o *operator, word string) error {
	id := chat.RunID(word)
	var s *store.Store
	var u chat.User
	var err error
	if o.user != "" {
		u, s, err = o.named(ctx, o.user)
	} else {
		u, s, err = o.owner(ctx, id)
	}
	if err != nil {
		return err
	}
	if _, err := s.Run(ctx, id); errors.Is(err, chat.ErrNotFound) {
		return fmt.Errorf("%s has no run %q", subject(u), word)
	} else if err != nil {
		return err
	}
	return o.killed(ctx, subject(u), s, []chat.RunID{id})
}

// owner finds the user of a live run.
func (o *operator) owner(ctx context.Context, id chat.RunID) (chat.User, *store.Store, error) {
	live, unread := o.place.table.Live(ctx)
	var of []chat.User
	for _, e := range live {
		if e.Run == id {
			of = append(of, e.User)
		}
	}
	switch len(of) {
	case 0:
		if unread != nil {
			return chat.User{}, nil, unread
		}
		return chat.User{}, nil, fmt.Errorf("no run %q is running or queued: list shows all such runs, and -user "+
			"USER finds an ended run", id)
	case 1:
		s, err := o.place.table.For(of[0])
		return of[0], s, err
	}
	return chat.User{}, nil, fmt.Errorf("%d users have a run %q: name the user with -user", len(of), id)
}

func killAll(ctx context.Context, o *operator, word string) error {
	u, s, err := o.named(ctx, word)
	if err != nil {
		return err
	}
	d, err := s.RunQueue(ctx)
	if err != nil {
		return err
	}
	var runs []chat.RunID
	for _, w := range d.Queued { // first, so that none of them starts when a slot becomes free
		runs = append(runs, w.Run)
	}
	for run := range d.Slots {
		runs = append(runs, run)
	}
	return o.killed(ctx, subject(u), s, runs)
}

// killed cancels runs, waits for running ones, and reports the result of each.
func (o *operator) killed(ctx context.Context, user string, s *store.Store, runs []chat.RunID) error {
	verdicts, said := []verdict{}, []string{}
	pending := map[chat.RunID]bool{}
	was := map[chat.RunID]chat.RunStatus{}
	for _, id := range runs {
		run, err := s.Run(ctx, id)
		if err != nil {
			return err
		}
		c, err := s.Cancel(ctx, id)
		if err != nil {
			return fmt.Errorf("cancel %s: %w", id, err)
		}
		was[id], pending[id] = run.Status, !c.Run.Status.Terminal()
	}
	if err := o.await(ctx, s, pending); err != nil {
		return err
	}
	for _, id := range runs {
		run, err := s.Run(ctx, id)
		if err != nil {
			return err
		}
		v := verdict{user, id, run.Status, fate(was[id], run)}
		verdicts, said = append(verdicts, v), append(said, fmt.Sprintf("%s of %s: %s", id, user, v.Said))
	}
	if len(runs) == 0 {
		said = []string{user + " has no running or queued run."}
	}
	return o.print(verdicts, said)
}

// fate describes the result of a kill.
func fate(was chat.RunStatus, run store.Run) string {
	switch {
	case was.Terminal():
		return fmt.Sprintf("it had ended before: %s", was)
	case run.Status.Terminal() && was != chat.RunRunning:
		return fmt.Sprintf("it had not begun, and is %s now; queued runs start within a minute", run.Status)
	case run.Status.Terminal():
		return fmt.Sprintf("it ran, and is %s now", run.Status)
	}
	return fmt.Sprintf("its cancel was requested, and it is still %s; if its worker is dead, sweep ends it within "+
		"two minutes", run.Status)
}

// await polls twice a second until none of the runs is running, or until the wait time has passed.
func (o *operator) await(ctx context.Context, s *store.Store, pending map[chat.RunID]bool) error {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	over := time.NewTimer(o.wait)
	defer over.Stop()
	for {
		left := false
		for id, p := range pending {
			if !p {
				continue
			}
			run, err := s.Run(ctx, id)
			if err != nil {
				return err
			}
			pending[id] = !run.Status.Terminal()
			left = left || pending[id]
		}
		if !left {
			return nil
		}
		select {
		case <-tick.C:
		case <-over.C:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
