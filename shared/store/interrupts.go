package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/runqueue"
)

// interruptLife is how long a question waits for a person, at most and unless it says.
const interruptLife = 24 * time.Hour

// interrupts are a thread's questions as they are stored: JSON text.
type interrupts []agui.Interrupt

// MarshalDynamoDBAttributeValue writes them as JSON text.
func (q interrupts) MarshalDynamoDBAttributeValue() (types.AttributeValue, error) {
	b, err := json.Marshal(q)
	return text(string(b)), err
}

// UnmarshalDynamoDBAttributeValue reads them.
func (q *interrupts) UnmarshalDynamoDBAttributeValue(v types.AttributeValue) error {
	s, ok := v.(*types.AttributeValueMemberS)
	if !ok {
		return fmt.Errorf("a thread's questions are %T, not text", v)
	}
	return json.Unmarshal([]byte(s.Value), (*[]agui.Interrupt)(q))
}

// asked are the questions that a terminal event puts to a person, each with its expiry: none but for the outcome
// interrupt.
func (t *Table) asked(terminal agui.Event) interrupts {
	if terminal.Type != agui.RunFinished || terminal.Outcome == nil || terminal.Outcome.Type != agui.OutcomeInterrupt {
		return nil
	}
	q := slices.Clone(terminal.Outcome.Interrupts)
	last := t.c.Now().Add(interruptLife)
	for i := range q {
		if at := expiryOf(q[i]); at.IsZero() || at.After(last) {
			q[i].ExpiresAt = last.UTC().Format(time.RFC3339)
		}
	}
	return q
}

// expiryOf is when a question counts as refused; zero if it does not say.
func expiryOf(i agui.Interrupt) time.Time {
	at, err := time.Parse(time.RFC3339, i.ExpiresAt)
	if err != nil {
		return time.Time{}
	}
	return at
}

// open are those of the thread's questions that have not expired.
func (t *Table) open(item threadItem) []agui.Interrupt {
	var open []agui.Interrupt
	for _, i := range item.Open {
		if item.Deleted == 0 && expiryOf(i).After(t.c.Now()) {
			open = append(open, i)
		}
	}
	return open
}

// thread is the record as it is given out: with the questions that are open now.
func (t *Table) thread(item threadItem) Thread {
	th := item.thread()
	th.Interrupts = t.open(item)
	return th
}

// answer puts the questions to the answers. There must be one answer for each open question and none for anything else;
// what has expired beside them counts as refused.
func (t *Table) answer(item threadItem, answers []Answer) ([]Answer, error) {
	open := t.open(item)
	if len(open) == 0 && len(answers) == 0 {
		return nil, nil
	}
	refuse := &InterruptedError{Open: open}
	given := map[chat.InterruptID]agui.Resume{}
	for _, a := range answers {
		given[a.Resume.InterruptID] = a.Resume
	}
	if len(open) == 0 || len(given) != len(answers) {
		return nil, refuse
	}
	var all []Answer
	for _, q := range item.Open {
		resume, found := given[q.ID]
		switch isOpen := expiryOf(q).After(t.c.Now()); {
		case isOpen && !found:
			return nil, refuse
		case !isOpen:
			resume = agui.Resume{InterruptID: q.ID, Status: agui.ResumeCancelled}
		}
		delete(given, q.ID)
		all = append(all, Answer{Asked: q, Resume: resume})
	}
	if len(given) > 0 {
		return nil, refuse
	}
	return all, nil
}

// begin is the change of a thread on which a run is admitted or starts: newer, and without questions, if they are still
// the ones that were read and the thread is not deleted. recent is its new place in the list; "": it stays where it is.
func (s *Store) begin(was threadItem, recent string) types.TransactWriteItem {
	u := update{
		key: key{was.PK, was.SK}, change: "SET #updated = :updated", when: standing,
		values: attributes{":updated": number(s.t.after(was.Updated))},
	}
	if recent != "" {
		u.change, u.values[":recent"] = u.change+", #recent = :recent", text(recent)
	}
	u.change += " REMOVE #open, #asked"
	if was.Asked == "" {
		u.when += " AND attribute_not_exists(#asked)"
	} else {
		u.when, u.values[":asked"] = u.when+" AND #asked = :asked", text(was.Asked)
	}
	return s.t.updatePart(u)
}

// reopen is the change of a thread whose answering run ends before it began: its questions are open again.
func (s *Store) reopen(ctx context.Context, was threadItem, r runItem) (types.TransactWriteItem, error) {
	var input inputItem
	found, err := s.t.get(ctx, s.inputKey(chat.RunID(r.ID), r.Input), &input)
	if err != nil {
		return types.TransactWriteItem{}, fmt.Errorf("read what a run answers: %w", err)
	}
	if !found { // TTL has taken it, and what it asked has expired long since
		return s.touch(was), nil
	}
	a, err := input.admission()
	if err != nil {
		return types.TransactWriteItem{}, err
	}
	var q interrupts
	for _, answer := range a.Answers {
		q = append(q, answer.Asked)
	}
	open, err := attributevalue.Marshal(q)
	if err != nil {
		return types.TransactWriteItem{}, fmt.Errorf("write a thread's questions: %w", err)
	}
	return s.t.updatePart(update{
		key: key{was.PK, was.SK}, change: "SET #updated = :updated, #open = :open, #asked = :asked",
		when: standing + " AND attribute_not_exists(#asked)",
		values: attributes{
			":updated": number(s.t.after(was.Updated)), ":open": open, ":asked": text(r.Answers),
		},
	}), nil
}

// rules are those that the desk is changed under now.
func (s *Store) rules(ctx context.Context, d runqueue.Queue) (runqueue.Policy, error) {
	held, err := s.held(ctx, d)
	return runqueue.Policy{Limits: s.t.c.Limits, Now: s.t.c.Now(), AwaitingInput: held}, err
}

// held are those threads of the waiting runs that wait for a person. Whatever makes it another thread's turn to wait, or
// ends that, changes the desk's version: what is read here stands if the desk does.
func (s *Store) held(ctx context.Context, d runqueue.Queue) (map[chat.ThreadID]bool, error) {
	var keys []key
	for _, w := range d.Queued {
		if k := s.threadKey(w.Thread); !slices.Contains(keys, k) {
			keys = append(keys, k)
		}
	}
	found, err := s.t.getAll(ctx, keys)
	if err != nil {
		return nil, fmt.Errorf("read the threads of what waits: %w", err)
	}
	held := map[chat.ThreadID]bool{}
	for _, item := range found {
		var t threadItem
		if err := attributevalue.UnmarshalMap(item, &t); err != nil {
			return nil, fmt.Errorf("read a thread: %w", err)
		}
		if len(s.t.open(t)) > 0 {
			held[chat.ThreadID(t.ID)] = true
		}
	}
	return held, nil
}

// postpone gives a run that waits behind questions until an hour after the last of them expires: only then could it
// begin. It returns false if there are none.
func (s *Store) postpone(ctx context.Context, r runItem) (bool, error) {
	var t threadItem
	if _, err := s.t.get(ctx, s.threadKey(chat.ThreadID(r.Thread)), &t); err != nil {
		return false, fmt.Errorf("read a thread: %w", err)
	}
	last := time.Time{}
	for _, i := range s.t.open(t) {
		if at := expiryOf(i); at.After(last) {
			last = at
		}
	}
	if last.IsZero() {
		return false, nil
	}
	in := s.inputKey(chat.RunID(r.ID), r.Input)
	deadline := last.Add(waitTime)
	for _, u := range []update{{
		key: in, change: "SET #expires = :expires", when: "attribute_exists(#pk)",
		values: attributes{":expires": number(deadline.Add(inputLife - waitTime).Unix())},
	}, {
		key: key{r.PK, r.SK}, change: "SET #deadline = :deadline",
		when:   "attribute_exists(#pk) AND #status = :queued AND #deadline = :seen",
		values: attributes{":deadline": number(millis(deadline)), ":queued": text(chat.RunQueued), ":seen": number(r.Deadline)},
	}} {
		_, err := s.t.update(ctx, u)
		if _, isOld := refused(err); isOld && u.key == in {
			return false, nil // nobody knows any more what the run was asked
		} else if err != nil && !isOld {
			return false, fmt.Errorf("let a run wait for a person: %w", err)
		}
	}
	return true, nil
}
