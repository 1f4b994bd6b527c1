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

// The isolation suite: one user, the caller, calls every method of Store, Rows, Lease and Table while another user has
// every kind of item in the same table. No call may change an item of the other user or return text of the other user.
// A method without a case fails the suite.

// caller is the user who calls the methods.
type caller struct {
	*World
	*names
	as     string
	store  *store.Store
	lease  *store.Lease // of the caller's running run; nil if there is none
	single bool         // called by Methods: only the requests of the method itself are allowed
}

// outcome is the required result of a call with names that only the other user has.
type outcome int

const (
	notFound outcome = iota // chat.ErrNotFound
	empty                   // no error and no items
	succeeds                // no error: the result concerns only the caller
	skipped                 // no such call: the method takes no ids, or its case makes the call itself
)

// probe is one method's case.
type probe struct {
	other  outcome // with names that only the other user has
	reads  bool    // called with names that both users have, it returns callerText
	unsafe bool    // it takes ids and must reject ids that could change the structure of a key
	// called with an unknown id, it creates an item of the caller: only API Gateway chooses connection ids
	creates bool
	call    func(c caller) (any, error)
}

// briefPairs is the number of pairs of users in make test. The quick audit of .ci/run runs all pairs.
const briefPairs = 2

// isolation runs every case for each pair of users.
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
			w, only, both := populated(t, db, pair[1], i)
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
			fmt.Sprintf("%d calls of %d methods by %d users with ids of another user "+
				"and shared, hostile and absent ids: no item of another user read or changed",
				calls, len(cases), len(pairs())))
	}
}

// secret is the text in all items of the other user, and callerText the text in the items of the caller.
const (
	secret     = "SECRET of the other user"
	callerText = "text of the caller"
)

// populated returns a new table in which the user other has every kind of item: under names that only this user has,
// and under names that the caller will use too.
func populated(t *testing.T, db *dynamodb.Client, other string, alphabet int) (w *World, only, both names) {
	return populatedIn(NewWorld(t, db), other, alphabet)
}

// populatedIn stores the same items in the table of w.
func populatedIn(w *World, other string, alphabet int) (_ *World, only, both names) {
	t := w.T
	t.Helper()
	only, both = nameSets(alphabet)
	owner := w.As(other)
	for _, n := range []*names{&only, &both} {
		w.populate(owner, *n, secret)
		w.ask(owner, *n, secret)
		n.epoch = must[store.Thread](t)(owner.Thread(t.Context(), n.thread)).Epoch
	}
	// connection ids are never shared: API Gateway chooses them
	both.socket = "of-caller-" + both.socket[:min(len(both.socket), 100)]
	return w, only, both
}

// fresh returns the same table at the real time, after it has deleted all items of subject.
func (w *World) fresh(t *testing.T, subject string) *World {
	t.Helper()
	v := &World{T: t, DB: w.DB, Name: w.Name, Clock: &Clock{}, Limits: w.Limits, Worker: w.Worker}
	v.Table = v.With(w.DB)
	own, _ := v.divide(subject)
	// single deletes would be a third of all requests, and moto is slow
	for some := range slices.Chunk(own, 25) {
		deletes := make([]types.WriteRequest, len(some))
		for n, i := range some {
			key := map[string]types.AttributeValue{"pk": i["pk"], "sk": i["sk"]}
			deletes[n].DeleteRequest = &types.DeleteRequest{Key: key}
		}
		left, err := w.DB.BatchWriteItem(t.Context(),
			&dynamodb.BatchWriteItemInput{RequestItems: map[string][]types.WriteRequest{w.Name: deletes}})
		if err != nil || len(left.UnprocessedItems) > 0 {
			t.Fatalf("%d items are left: %v", len(left.UnprocessedItems[w.Name]), err)
		}
	}
	return v
}

// matrix makes the calls of one pair of users.
type matrix struct {
	only, both names
	first      bool              // the first pair: checks that do not depend on the users run only here
	foreign    map[string]string // the items of all users except the caller
	calls      *int
}

// isolated calls the method of p with hostile names, with names that only the other user has, with names that no user
// has, and with names that both users have.
func (m *matrix) isolated(c caller, p probe) {
	t := c.T
	t.Helper()
	c.store = c.As(c.as)
	if m.foreign == nil {
		m.foreign = c.foreign()
	}
	call := func(n *names) (any, error) {
		*m.calls++
		c.names = n
		return p.call(c)
	}
	check := func(names string, got any) {
		t.Helper()
		if text := fmt.Sprintf("%+v", got); strings.Contains(text, secret) {
			t.Errorf("%s: it returned text of the other user: %s", names, text)
		}
		if after := c.foreign(); !reflect.DeepEqual(after, m.foreign) {
			t.Errorf("%s: it changed items of the other user: %v, were %v", names, after, m.foreign)
			m.foreign = after
		}
	}
	if p.unsafe && m.first {
		for _, id := range hostile() {
			_, err := call(&names{
				thread: chat.ThreadID(id), suspended: chat.ThreadID(id), done: chat.RunID(id), run: chat.RunID(id),
				queued: chat.RunID(id),
				socket: chat.ConnectionID(id), epoch: chat.Epoch(id),
			})
			wantErr(t, fmt.Sprintf("with the id %.20q", id), err, chat.ErrBadID)
		}
		check("hostile ids", nil)
	}
	if p.other != skipped {
		got, err := call(&m.only)
		p.judge(t, got, err)
		check("names of the other user", got)
		if m.first && p.other != succeeds && !p.creates {
			absent := absentNames()
			none, unknown := call(&absent)
			if result, want := m.only.without(got, err), absent.without(none, unknown); result != want {
				t.Errorf("names of the other user give %s, unknown names give %s: they must be equal", result, want)
			}
		}
	}
	c.lease = c.populate(c.store, m.both, callerText)
	got, err := call(&m.both)
	if err != nil {
		t.Errorf("names that both users have: %v", err)
	}
	if text := fmt.Sprintf("%+v", got); p.reads && !strings.Contains(text, callerText) {
		t.Errorf("names that both users have: it did not return the text of the caller: %s", text)
	}
	check("names that both users have", got)
}

// judge checks the result of a call with names of the other user.
func (p probe) judge(t *testing.T, got any, err error) {
	t.Helper()
	switch {
	case p.other == notFound:
		wantErr(t, "names of the other user", err, chat.ErrNotFound)
	case err != nil:
		t.Errorf("names of the other user: %v", err)
	case p.other == empty && got != nil && !reflect.ValueOf(got).IsZero() && reflect.ValueOf(got).Len() > 0:
		t.Errorf("names of the other user: got %+v, want no items", got)
	}
}

// populate stores a connection, a note, a thread and three runs of a user, with words in each text. It returns the
// lease of the running run.
func (w *World) populate(s *store.Store, n names, words string) *store.Lease {
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
	for _, run := range []chat.RunID{n.done, n.run, n.queued} {
		a := Asked(run, n.thread)
		a.Title, a.Messages[0].Content = words, words
		if run == n.done {
			a.Messages[0].ID = listedMessageID
		}
		if _, err := s.Admit(w.T.Context(), a); err != nil {
			w.T.Fatal(err)
		}
		if run == n.queued {
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

// listedMessageID is the id of a message in every populated thread. It contains no dot, so the thread records it.
const listedMessageID = "listed"

// ask makes a thread that awaits input.
func (w *World) ask(s *store.Store, n names, words string) {
	w.T.Helper()
	h := w.Begin(s, suspendedPrefix+n.done, n.suspended)
	asking := Asking(h, time.Time{}, n.interrupt)
	asking.Outcome.Interrupts[0].Message = words
	w.End(h, Started(h), asking)
}
