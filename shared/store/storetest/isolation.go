package storetest

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"carrel/shared/campaign"
	"carrel/shared/chat"
	"carrel/shared/store"
)

// The isolation suite: every method of Store, Holder and Table is called by one user (mine) beside another (theirs) who
// has everything that there is to find. Whatever is called, no item of theirs may change and no word of theirs may come
// back. A method without a case here fails the suite.

// caller is one user who calls methods.
type caller struct {
	*World
	*names
	as     string
	mine   *store.Store
	holder *store.Lease // of mine's running run; nil if mine has none
	met    bool         // called by Methods: only what the method itself asks for may be asked for
}

// outcome is what a call with names that are only theirs must give.
type outcome int

const (
	notFound outcome = iota // chat.ErrNotFound
	empty                   // nothing
	fresh                   // a new thing of mine's own
	anything                // it names nothing of anybody's
)

// probe is one method's case.
type probe struct {
	theirs outcome
	reads  bool // called with mine's own names it returns words of mine's
	unsafe bool // it takes ids, and must refuse those that could leave their place in a key
	makes  bool // of an id that nobody has it makes a thing of mine's: only API Gateway names connections
	call   func(c caller) (any, error)
}

// briefPairs is how many pairs of users make test tries. make campaign tries all of them.
const briefPairs = 3

func isolation(t *testing.T, db *dynamodb.Client) {
	cases := probes()
	for _, problem := range Uncovered(cases) {
		t.Error(problem)
	}
	calls := 0
	for i, pair := range pairs() {
		t.Run(fmt.Sprintf("%.20q beside %.20q", pair[0], pair[1]), func(t *testing.T) {
			if i >= briefPairs {
				campaign.Only(t, "every method is called with the ids of more pairs of users")
			}
			m := matrix{calls: &calls, first: i == 0}
			w, only, both := furnished(t, db, pair[1], i)
			m.only, m.both = only, both
			for method, p := range cases {
				t.Run(method, func(t *testing.T) {
					m.isolated(caller{World: w.fresh(t, pair[0]), as: pair[0]}, p)
				})
			}
		})
	}
	if !t.Failed() {
		t.Attr("figure",
			fmt.Sprintf("%d calls of %d methods by %d users with another's ids, shared, hostile and absent ones: nothing of another's read or changed",
				calls, len(cases), len(pairs())))
	}
}

const secret = "SECRET of them"

// furnished is a world in which theirs has everything: under names that are theirs only, and under names that mine will
// use as well.
func furnished(t *testing.T, db *dynamodb.Client, theirs string, alphabet int) (w *World, only, both names) {
	return furnishedIn(NewWorld(t, db), theirs, alphabet)
}

func furnishedIn(w *World, theirs string, alphabet int) (_ *World, only, both names) {
	t := w.T
	t.Helper()
	only, both = named(alphabet)
	them := w.As(theirs)
	for _, n := range []*names{&only, &both} {
		w.furnish(them, *n, secret)
		w.ask(them, *n, secret)
		n.epoch = must[store.Thread](t)(them.Thread(t.Context(), n.thread)).Epoch
	}
	// of all names, only API Gateway's are nobody else's
	both.socket = "of-mine-" + both.socket[:min(len(both.socket), 100)]
	return w, only, both
}

// fresh is the same table at the real time, without anything of subject's.
func (w *World) fresh(t *testing.T, subject string) *World {
	t.Helper()
	v := &World{T: t, DB: w.DB, Name: w.Name, Clock: &Clock{}, Limits: w.Limits, Worker: w.Worker}
	v.Table = v.With(w.DB)
	own, _ := v.divide(subject)
	// one by one they would be a third of all requests, which moto takes its time for
	for some := range slices.Chunk(own, 25) {
		deletes := make([]types.WriteRequest, len(some))
		for n, i := range some {
			deletes[n].DeleteRequest = &types.DeleteRequest{Key: map[string]types.AttributeValue{"pk": i["pk"],
				"sk": i["sk"]}}
		}
		left, err := w.DB.BatchWriteItem(t.Context(),
			&dynamodb.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{w.Name: deletes}})
		if err != nil || len(left.UnprocessedItems) > 0 {
			t.Fatalf("%d items are left: %v", len(left.UnprocessedItems[w.Name]), err)
		}
	}
	return v
}

// matrix is one pair's calls.
type matrix struct {
	only, both names
	first      bool              // of the pairs: what has nothing to do with users is tried here alone
	foreign    map[string]string // what all but the caller have
	calls      *int
}

// isolated makes the case's calls with names of theirs, with hostile ones, with names that nobody has, and with names
// that both have.
func (m *matrix) isolated(c caller, p probe) {
	t := c.T
	t.Helper()
	c.mine = c.As(c.as)
	if m.foreign == nil {
		m.foreign = c.foreign()
	}
	call := func(n *names) (any, error) {
		*m.calls++
		c.names = n
		return p.call(c)
	}
	check := func(what string, got any) {
		t.Helper()
		if said := fmt.Sprintf("%+v", got); strings.Contains(said, secret) {
			t.Errorf("%s: it returned what is theirs: %s", what, said)
		}
		if after := c.foreign(); !reflect.DeepEqual(after, m.foreign) {
			t.Errorf("%s: it changed what is theirs: %v, was %v", what, after, m.foreign)
			m.foreign = after
		}
	}
	if p.unsafe && m.first {
		for _, id := range hostile() {
			_, err := call(&names{
				thread: chat.ThreadID(id), asks: chat.ThreadID(id), done: chat.RunID(id), run: chat.RunID(id),
				wait:   chat.RunID(id),
				socket: chat.ConnectionID(id), epoch: chat.Epoch(id),
			})
			wantErr(t, fmt.Sprintf("with the id %.20q", id), err, chat.ErrBadID)
		}
		check("with hostile ids", nil)
	}
	if p.theirs != anything {
		got, err := call(&m.only)
		p.judge(t, got, err)
		check("with names of theirs", got)
		if m.first && p.theirs != fresh && !p.makes {
			absent := nobodys()
			none, unknown := call(&absent)
			if what, want := m.only.without(got, err), absent.without(none, unknown); what != want {
				t.Errorf("names of theirs give %s, and names that nobody has %s", what, want)
			}
		}
	}
	c.holder = c.furnish(c.mine, m.both, "words of mine")
	got, err := call(&m.both)
	if err != nil {
		t.Errorf("with names that both have: %v", err)
	}
	if said := fmt.Sprintf("%+v", got); p.reads && !strings.Contains(said, "words of mine") {
		t.Errorf("with names that both have: it did not return what is mine: %s", said)
	}
	check("with names that both have", got)
}

func (p probe) judge(t *testing.T, got any, err error) {
	t.Helper()
	switch {
	case p.theirs == notFound:
		wantErr(t, "with names of theirs", err, chat.ErrNotFound)
	case err != nil:
		t.Errorf("with names of theirs: %v", err)
	case p.theirs == empty && got != nil && !reflect.ValueOf(got).IsZero() && reflect.ValueOf(got).Len() > 0:
		t.Errorf("with names of theirs: got %+v, want nothing", got)
	}
}

// furnish gives a user one of everything, with words to find in it.
func (w *World) furnish(s *store.Store, n names, words string) *store.Lease {
	w.T.Helper()
	c := socket(1, n.thread)
	c.ID = n.socket
	if _, err := s.Connect(w.T.Context(), c); err != nil {
		w.T.Fatal(err)
	}
	if _, err := s.SaveNote(w.T.Context(), words); err != nil {
		w.T.Fatal(err)
	}
	var running *store.Lease
	for _, run := range []chat.RunID{n.done, n.run, n.wait} {
		a := Asked(run, n.thread)
		a.Title, a.Messages[0].Content = words, words
		if run == n.done {
			a.Messages[0].ID = notedID
		}
		if _, err := s.Admit(w.T.Context(), a); err != nil {
			w.T.Fatal(err)
		}
		if run == n.wait {
			continue
		}
		running = w.Claim(s, run)
		w.Append(running, Started(running))
		w.Append(running, Said(string(run), words)...)
		if run == n.done {
			w.End(running, Finished(running))
		}
	}
	return running
}

// notedID is of a message of every furnished thread. It has no dot, so the thread notes it.
const notedID = "noted"

// ask gives a user a thread that waits for a person.
func (w *World) ask(s *store.Store, n names, words string) {
	w.T.Helper()
	h := w.Begin(s, asks+n.done, n.asks)
	asking := Asking(h, time.Time{}, n.question)
	asking.Outcome.Interrupts[0].Message = words
	w.End(h, Started(h), asking)
}
