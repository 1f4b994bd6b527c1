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

// interruptLife is the lifetime of an interrupt: the maximum, and the default if the interrupt states none.
const interruptLife = 24 * time.Hour

// interrupts are the open interrupts of a thread. They are stored as JSON text.
type interrupts []agui.Interrupt

// MarshalDynamoDBAttributeValue encodes the interrupts as JSON text.
func (list interrupts) MarshalDynamoDBAttributeValue() (types.AttributeValue, error) {
	b, err := json.Marshal(list)
	return text(string(b)), err
}

// UnmarshalDynamoDBAttributeValue decodes the interrupts.
func (list *interrupts) UnmarshalDynamoDBAttributeValue(v types.AttributeValue) error {
	s, ok := v.(*types.AttributeValueMemberS)
	if !ok {
		return fmt.Errorf("the interrupts of a thread are stored as %T, not as text", v)
	}
	return json.Unmarshal([]byte(s.Value), (*[]agui.Interrupt)(list))
}

// interruptsOf returns the interrupts that a terminal event opens, each with its expiry. Only the outcome interrupt has
// any.
func (t *Table) interruptsOf(terminal agui.Event) interrupts {
	if terminal.Type != agui.RunFinished || terminal.Outcome == nil || terminal.Outcome.Type != agui.OutcomeInterrupt {
		return nil
	}
	list := slices.Clone(terminal.Outcome.Interrupts)
	last := t.c.Now().Add(interruptLife)
	for i := range list {
		if at := expiryOf(list[i]); at.IsZero() || at.After(last) {
			list[i].ExpiresAt = last.UTC().Format(time.RFC3339)
		}
	}
	return list
}

// expiryOf returns when an interrupt expires and counts as refused, or zero if it has no valid expiry.
func expiryOf(i agui.Interrupt) time.Time {
	at, err := time.Parse(time.RFC3339, i.ExpiresAt)
	if err != nil {
		return time.Time{}
	}
	return at
}

// open returns the interrupts of a thread that have not expired.
func (t *Table) open(item threadItem) []agui.Interrupt {
	var open []agui.Interrupt
	for _, i := range item.Open {
		if item.Deleted == 0 && expiryOf(i).After(t.c.Now()) {
			open = append(open, i)
		}
	}
	return open
}

// thread returns the thread with the interrupts that are open now.
func (t *Table) thread(item threadItem) Thread {
	th := item.thread()
	th.Interrupts = t.open(item)
	return th
}

// matchResponses sets the interrupt of each response. It requires one response to each open interrupt and no other
// response. An expired interrupt beside open ones gets the response "cancelled".
func (t *Table) matchResponses(item threadItem, responses []Response) ([]Response, error) {
	open := t.open(item)
	if len(open) == 0 && len(responses) == 0 {
		return nil, nil
	}
	refuse := &InterruptedError{Open: open}
	given := map[chat.InterruptID]agui.Resume{}
	for _, r := range responses {
		given[r.Resume.InterruptID] = r.Resume
	}
	if len(open) == 0 || len(given) != len(responses) {
		return nil, refuse
	}
	var all []Response
	for _, i := range item.Open {
		resume, found := given[i.ID]
		switch isOpen := expiryOf(i).After(t.c.Now()); {
		case isOpen && !found:
			return nil, refuse
		case !isOpen:
			resume = agui.Resume{InterruptID: i.ID, Status: agui.ResumeCancelled}
		}
		delete(given, i.ID)
		all = append(all, Response{Interrupt: i, Resume: resume})
	}
	if len(given) > 0 {
		return nil, refuse
	}
	return all, nil
}

// begin changes the thread of a run that is admitted or starts: it raises the updated time and removes the interrupts.
// Its conditions: the thread is not deleted, and its interrupts are those that were read. recent is the thread's new
// place in the list; "" leaves it where it is.
func (s *Store) begin(t threadItem, recent string) types.TransactWriteItem {
	u := update{
		key: key{t.PK, t.SK}, change: "SET #updated = :updated", when: standing,
		values: attributes{":updated": number(s.t.after(t.Updated))},
	}
	if recent != "" {
		u.change, u.values[":recent"] = u.change+", #recent = :recent", text(recent)
	}
	u.change += " REMOVE #open, #asked"
	if t.Asked == "" {
		u.when += " AND attribute_not_exists(#asked)"
	} else {
		u.when, u.values[":asked"] = u.when+" AND #asked = :asked", text(t.Asked)
	}
	return s.t.updatePart(u)
}

// reopen changes a thread whose responding run ends before any turn claimed it: the interrupts are open again.
func (s *Store) reopen(ctx context.Context, t threadItem, r runItem) (types.TransactWriteItem, error) {
	a, found, err := s.inputOf(ctx, r)
	if err != nil {
		return types.TransactWriteItem{}, err
	}
	if !found { // TTL has deleted it, and the interrupts expired long before
		return s.touch(t), nil
	}
	var list interrupts
	for _, response := range a.Responses {
		list = append(list, response.Interrupt)
	}
	open, err := attributevalue.Marshal(list)
	if err != nil {
		return types.TransactWriteItem{}, fmt.Errorf("encode the interrupts of a thread: %w", err)
	}
	return s.t.updatePart(update{
		key: key{t.PK, t.SK}, change: "SET #updated = :updated, #open = :open, #asked = :asked",
		when: standing + " AND attribute_not_exists(#asked)",
		values: attributes{
			":updated": number(s.t.after(t.Updated)), ":open": open, ":asked": text(r.Answers),
		},
	}), nil
}

// policy returns the policy under which the run queue changes now.
func (s *Store) policy(ctx context.Context, q runqueue.Queue) (runqueue.Policy, error) {
	threads, err := s.awaitingInput(ctx, q)
	return runqueue.Policy{Limits: s.t.c.Limits, Now: s.t.c.Now(), AwaitingInput: threads}, err
}

// awaitingInput returns the threads of the queued runs that have open interrupts. Every write that opens or removes
// interrupts raises the version of the run queue, so the result is valid as long as the version is the same.
func (s *Store) awaitingInput(ctx context.Context, q runqueue.Queue) (map[chat.ThreadID]bool, error) {
	var keys []key
	for _, e := range q.Queued {
		if k := s.threadKey(e.Thread); !slices.Contains(keys, k) {
			keys = append(keys, k)
		}
	}
	found, err := s.t.getAll(ctx, keys)
	if err != nil {
		return nil, fmt.Errorf("read the threads of the queued runs: %w", err)
	}
	threads := map[chat.ThreadID]bool{}
	for _, item := range found {
		var t threadItem
		if err := attributevalue.UnmarshalMap(item, &t); err != nil {
			return nil, fmt.Errorf("read a thread: %w", err)
		}
		if len(s.t.open(t)) > 0 {
			threads[chat.ThreadID(t.ID)] = true
		}
	}
	return threads, nil
}

// postpone moves the deadline of a run that is queued behind open interrupts to an hour after the last of them expires,
// because the run cannot start earlier. It returns false if the thread has no open interrupts.
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
	deadline := last.Add(queueTime)
	if kept, err := s.keepInput(ctx, r, deadline.Add(inputLife-queueTime)); err != nil || !kept {
		return false, err
	}
	_, err := s.t.update(ctx, update{
		key: key{r.PK, r.SK}, change: "SET #deadline = :deadline",
		when: "attribute_exists(#pk) AND #status = :queued AND #deadline = :seen",
		values: attributes{
			":deadline": number(millis(deadline)), ":queued": text(chat.RunQueued), ":seen": number(r.Deadline),
		},
	})
	if _, isOld := refused(err); err != nil && !isOld {
		return false, fmt.Errorf("postpone the deadline of a queued run: %w", err)
	}
	return true, nil
}
