package store_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"carrel/shared/agui"
	"carrel/shared/chat"
)

// state is the content of the table at one moment. docs/data.md describes the items.
type state struct {
	runs        map[chat.RunID]runRow
	threads     map[chat.ThreadID]threadRow
	inputs      map[string]bool // sort keys
	erasures    map[string]erasureRow
	queue       queueRow
	logs        map[string][]recordRow // by partition, in order
	transcripts map[string][]transcriptRow
}

type runRow struct {
	SK       string `dynamodbav:"sk"`
	ID       string `dynamodbav:"id"`
	Thread   string `dynamodbav:"thread"`
	Epoch    string `dynamodbav:"epoch"`
	Status   string `dynamodbav:"status"`
	Fence    int64  `dynamodbav:"fence"`
	Attempts int64  `dynamodbav:"attempts"`
	Nonce    string `dynamodbav:"nonce"`
	Input    string `dynamodbav:"input"`
	Inside   string `dynamodbav:"in"`
	Answers  string `dynamodbav:"answers"`
	Lease    int64  `dynamodbav:"lease"`
	Handed   int64  `dynamodbav:"handed"`
	Handings int64  `dynamodbav:"handings"`
	Worker   string `dynamodbav:"worker"`
	Due      int64  `dynamodbav:"due"`
	Cancel   bool   `dynamodbav:"cancel"`
	Live     string `dynamodbav:"live"`
	Deadline int64  `dynamodbav:"deadline"`
	Expires  int64  `dynamodbav:"expires"`
}

func (r runRow) status() chat.RunStatus { return chat.RunStatus(r.Status) }

type threadRow struct {
	SK      string `dynamodbav:"sk"`
	ID      string `dynamodbav:"id"`
	Epoch   string `dynamodbav:"epoch"`
	Head    int64  `dynamodbav:"head"`
	Updated int64  `dynamodbav:"updated"`
	Open    string `dynamodbav:"open"`
	Asked   string `dynamodbav:"asked"`
	Deleted int64  `dynamodbav:"deleted"`
	Expires int64  `dynamodbav:"expires"`
}

type queueRow struct {
	PK     string            `dynamodbav:"pk"`
	Slots  map[string]string `dynamodbav:"slots"`
	Queued []struct {
		Run    string `dynamodbav:"run"`
		Thread string `dynamodbav:"thread"`
	} `dynamodbav:"queued"`
	Tokens  map[string]int64 `dynamodbav:"tokens"`
	Version int64            `dynamodbav:"version"`
}

// status returns the status of a thread by the run queue.
func (q queueRow) status(thread string) chat.ThreadStatus {
	for _, t := range q.Slots {
		if t == thread {
			return chat.ThreadRunning
		}
	}
	for _, e := range q.Queued {
		if e.Thread == thread {
			return chat.ThreadQueued
		}
	}
	return chat.ThreadIdle
}

type erasureRow struct {
	Live   string `dynamodbav:"live"`
	Due    int64  `dynamodbav:"due"`
	Marked int64  `dynamodbav:"marked"`
}

type recordRow struct {
	Seq    int64  `dynamodbav:"s"`
	Count  int64  `dynamodbav:"n"`
	Run    string `dynamodbav:"r"`
	Fence  int64  `dynamodbav:"f"`
	Nonce  string `dynamodbav:"x"`
	Events string `dynamodbav:"e"`
}

func (r recordRow) last() int64 { return r.Seq + r.Count - 1 }

type transcriptRow struct {
	First  int64  `dynamodbav:"s"`
	Last   int64  `dynamodbav:"l"`
	Run    string `dynamodbav:"r"`
	Packed []byte `dynamodbav:"m"`
}

func newState() *state {
	return &state{
		runs: map[chat.RunID]runRow{}, threads: map[chat.ThreadID]threadRow{}, inputs: map[string]bool{},
		erasures: map[string]erasureRow{}, logs: map[string][]recordRow{}, transcripts: map[string][]transcriptRow{},
	}
}

// readState reads the table directly, without the scheduler.
func readState(ctx context.Context, db *dynamodb.Client, table string) (*state, error) {
	s := newState()
	in := &dynamodb.ScanInput{TableName: &table, ConsistentRead: aws.Bool(true)}
	for {
		out, err := db.Scan(ctx, in)
		if err != nil {
			return nil, fmt.Errorf("read the table: %w", err)
		}
		for _, item := range out.Items {
			if err := s.add(item); err != nil {
				return nil, err
			}
		}
		if len(out.LastEvaluatedKey) == 0 {
			break
		}
		in.ExclusiveStartKey = out.LastEvaluatedKey
	}
	for _, log := range s.logs {
		slices.SortFunc(log, func(a, b recordRow) int { return cmp.Compare(a.Seq, b.Seq) })
	}
	return s, nil
}

func decoded[R any](item map[string]types.AttributeValue) (row R, err error) {
	err = attributevalue.UnmarshalMap(item, &row)
	return row, err
}

// add adds one item. It returns an error for an incomplete or unknown item, which a late write to a deleted item
// leaves.
func (s *state) add(item map[string]types.AttributeValue) error {
	k, err := decoded[struct {
		PK string `dynamodbav:"pk"`
		SK string `dynamodbav:"sk"`
	}](item)
	complete := err == nil
	switch {
	case strings.HasPrefix(k.SK, "IN#"):
		s.inputs[k.SK] = true
	case strings.HasPrefix(k.SK, "RUN#"):
		var r runRow
		r, err = decoded[runRow](item)
		s.runs[chat.RunID(r.ID)], complete = r, r.ID != "" && r.Status != "" && r.Expires != 0
	case strings.HasPrefix(k.SK, "THREAD#"):
		var t threadRow
		t, err = decoded[threadRow](item)
		s.threads[chat.ThreadID(t.ID)], complete = t, t.ID != "" && t.Epoch != "" && t.Updated != 0
	case k.SK == "QUEUE":
		s.queue, err = decoded[queueRow](item)
		complete = s.queue.Version > 0
	case strings.HasPrefix(k.SK, "ERASE#"):
		var e erasureRow
		e, err = decoded[erasureRow](item)
		s.erasures[k.SK], complete = e, e.Live != "" && e.Marked != 0
	case strings.HasPrefix(k.SK, "E#"):
		var r recordRow
		r, err = decoded[recordRow](item)
		s.logs[k.PK], complete = append(s.logs[k.PK], r), r.Seq != 0 && r.Run != ""
	case strings.HasPrefix(k.SK, "M#"):
		var t transcriptRow
		t, err = decoded[transcriptRow](item)
		s.transcripts[k.PK], complete = append(s.transcripts[k.PK], t), t.First != 0
	default:
		complete = false
	}
	if err != nil {
		return fmt.Errorf("read %s: %w", k.SK, err)
	}
	if !complete {
		return fmt.Errorf("%s is an incomplete item: %v", k.SK, names(item))
	}
	return nil
}

func names(item map[string]types.AttributeValue) (names []string) {
	for name := range item {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// openInterrupts returns the interrupts of a thread that have not expired.
func (t threadRow) openInterrupts(now time.Time) (open []agui.Interrupt, err error) {
	if t.Open == "" || t.Deleted != 0 {
		return nil, nil
	}
	var all []agui.Interrupt
	if err := json.Unmarshal([]byte(t.Open), &all); err != nil {
		return nil, err
	}
	for _, q := range all {
		at, err := time.Parse(time.RFC3339, q.ExpiresAt)
		if err != nil {
			return nil, err
		}
		if at.After(now) {
			open = append(open, q)
		}
	}
	return open, nil
}

// partition returns the partition of the thread's log.
func (s *state) partition(t threadRow) string { return s.queue.PK + "#T#" + t.ID + "#" + t.Epoch }
