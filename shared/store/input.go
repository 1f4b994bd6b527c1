package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"carrel/shared/agui"
	"carrel/shared/chat"
)

const (
	inputLife = 3 * time.Hour // of an input item; longer than a run is queued and runs, whose log keeps the messages

	// writeUnit is the size of an item in bytes up to which a write costs one unit. claimedSize is how much RUN grows
	// while it lives: by the attributes of a claim, and a cancel request.
	writeUnit   = 1 << 10
	claimedSize = 100
)

// storedInput is the part of an Admission that its run needs. It is stored as JSON text.
type storedInput struct {
	Agent     string         `json:"a,omitempty"`
	Messages  []agui.Message `json:"m,omitempty"`
	Grants    []string       `json:"g,omitempty"`
	Responses []Response     `json:"r,omitempty"`
}

// inputText returns the input of a run as it is stored.
func inputText(a Admission) (string, error) {
	text, err := json.Marshal(storedInput{a.Agent, a.Messages, a.Grants, a.Responses})
	if err != nil {
		return "", fmt.Errorf("encode a run's input: %w", err)
	}
	return string(text), nil
}

// input decodes the stored input of a run.
func (i runItem) input(text string) (Admission, error) {
	var in storedInput
	if err := json.Unmarshal([]byte(text), &in); err != nil {
		return Admission{}, fmt.Errorf("decode a run's input: %w", err)
	}
	return Admission{
		Run: chat.RunID(i.ID), Thread: chat.ThreadID(i.Thread), Agent: in.Agent, Messages: in.Messages,
		Grants: in.Grants, Responses: in.Responses,
	}, nil
}

// placeInput stores the input of a run inside RUN, if RUN then still fits into one write unit for as long as it has
// the input. Otherwise it stores an item of its own, once per call; the run refers to it by the call's nonce.
func (c *admitCall) placeInput(ctx context.Context, a Admission, r *runItem) error {
	text, err := inputText(a)
	if err != nil {
		return err
	}
	r.Inside = text
	size, err := itemSize(r)
	if err != nil {
		return err
	}
	if size+claimedSize <= writeUnit {
		return nil
	}
	r.Inside = ""
	if c.inputStored {
		return nil
	}
	k := c.s.inputKey(a.Run, c.nonce)
	item := inputItem{PK: k.pk, SK: k.sk, Input: text, Expires: c.s.t.expiry(inputLife)}
	if err := c.s.t.put(ctx, item, "", nil); err != nil {
		return fmt.Errorf("store a run's input: %w", err)
	}
	c.inputStored = true
	return nil
}

// itemSize returns about the size of an item with scalar attributes, as DynamoDB counts it.
func itemSize(item any) (size int, err error) {
	m, err := attributevalue.MarshalMap(item)
	if err != nil {
		return 0, fmt.Errorf("measure an item: %w", err)
	}
	for name, v := range m {
		size += len(name)
		switch v := v.(type) {
		case *types.AttributeValueMemberS:
			size += len(v.Value)
		case *types.AttributeValueMemberN:
			size += len(v.Value)/2 + 2
		case *types.AttributeValueMemberB:
			size += len(v.Value)
		default:
			size++
		}
	}
	return size, nil
}

// Input reads the input of a run, with the grants of its admission. The input is kept for as long as the run may need
// it. Without one, Input fails with chat.ErrNotFound.
func (s *Store) Input(ctx context.Context, id chat.RunID) (Admission, error) {
	r, err := s.runItem(ctx, id)
	if err != nil {
		return Admission{}, err
	}
	a, found, err := s.inputOf(ctx, r)
	if err == nil && !found {
		err = fmt.Errorf("input of the run: %w", chat.ErrNotFound)
	}
	return a, err
}

// Inputs reads the inputs of up to 100 runs in one request, or in two if one of them is long. A run without a record or
// without an input is left out.
func (s *Store) Inputs(ctx context.Context, ids []chat.RunID) (map[chat.RunID]Admission, error) {
	var keys []key
	for _, id := range ids {
		if err := checkID("run", id); err != nil {
			return nil, err
		}
		keys = append(keys, s.runKey(id))
	}
	found, err := s.t.getAll(ctx, keys)
	if err != nil {
		return nil, fmt.Errorf("read runs: %w", err)
	}
	var runs []runItem
	keys = nil
	for _, item := range found {
		r, err := asRun(item)
		if err != nil {
			return nil, err
		}
		if s.t.expired(r.Expires) {
			continue
		}
		if runs = append(runs, r); r.Inside == "" {
			keys = append(keys, s.inputKey(chat.RunID(r.ID), r.Input))
		}
	}
	if found, err = s.t.getAll(ctx, keys); err != nil {
		return nil, fmt.Errorf("read the inputs of runs: %w", err)
	}
	all := map[chat.RunID]Admission{}
	for _, r := range runs {
		a, exists, err := s.inputFrom(r, found)
		if err != nil {
			return nil, fmt.Errorf("input of run %s: %w", r.ID, err)
		}
		if exists {
			all[chat.RunID(r.ID)] = a
		}
	}
	return all, nil
}

// inputFrom returns the input of a run, which is inside RUN or in an item of its own. items are read items by sort key.
// ok is false if there is none.
func (s *Store) inputFrom(r runItem, items map[string]attributes) (a Admission, ok bool, err error) {
	text := r.Inside
	if text == "" {
		item, found := items[s.inputKey(chat.RunID(r.ID), r.Input).sk]
		if !found {
			return a, false, nil
		}
		var i inputItem
		if err := attributevalue.UnmarshalMap(item, &i); err != nil {
			return a, false, fmt.Errorf("decode a run's input: %w", err)
		}
		text = i.Input
	}
	a, err = r.input(text)
	return a, true, err
}

// inputOf reads the input of a run. found is false if there is none.
func (s *Store) inputOf(ctx context.Context, r runItem) (a Admission, found bool, err error) {
	var items map[string]attributes
	if r.Inside == "" {
		items, err = s.t.getAll(ctx, []key{s.inputKey(chat.RunID(r.ID), r.Input)})
	}
	if err != nil {
		return a, false, fmt.Errorf("read a run's input: %w", err)
	}
	return s.inputFrom(r, items)
}

// keepInput extends the life of a run's input item, if the run has one. It returns false if the item was deleted.
func (s *Store) keepInput(ctx context.Context, r runItem, until time.Time) (bool, error) {
	if r.Inside != "" {
		return true, nil
	}
	_, err := s.t.update(ctx, update{
		key: s.inputKey(chat.RunID(r.ID), r.Input), change: "SET #expires = :expires", when: "attribute_exists(#pk)",
		values: attributes{":expires": number(until.Unix())},
	})
	if _, isGone := refused(err); isGone {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("keep the input of a queued run: %w", err)
	}
	return true, nil
}
