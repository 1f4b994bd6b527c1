package stack

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	sdk "github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"
)

// person is what the table holds of one user.
type person struct {
	User        string       `json:"user"` // the key that their items have
	Closing     bool         `json:"closing"`
	Seats       int          `json:"seats"`
	Waiting     int          `json:"waiting"`
	Threads     int          `json:"threads"`
	Records     int          `json:"records"` // of all logs
	Items       int          `json:"items"`
	Connections []connection `json:"connections"`
}

type connection struct {
	ID        string `json:"id"        dynamodbav:"id"`
	Thread    string `json:"thread"    dynamodbav:"thread"`
	N         int64  `json:"n"         dynamodbav:"n"`
	Connected int64  `json:"connected" dynamodbav:"connected"`
}

// run is a run as the table has it. Times are milliseconds since the epoch.
type run struct {
	User     string `json:"user"     dynamodbav:"-"`
	ID       string `json:"run"      dynamodbav:"id"`
	Thread   string `json:"thread"   dynamodbav:"thread"`
	Agent    string `json:"agent"    dynamodbav:"agent"`
	Status   string `json:"status"   dynamodbav:"status"`
	Cancel   bool   `json:"cancel"   dynamodbav:"cancel"`
	Attempts int64  `json:"attempts" dynamodbav:"attempts"`
	Created  int64  `json:"created"  dynamodbav:"created"`
	Ended    int64  `json:"ended"    dynamodbav:"ended"`
	Lease    int64  `json:"lease"    dynamodbav:"lease"`
	Deadline int64  `json:"deadline" dynamodbav:"deadline"`
}

// census is who and what the table holds.
type census struct {
	Took   string    `json:"took"`
	People []*person `json:"people"`
	Runs   []run     `json:"runs"` // those that live, and of those that have ended the newest
	Items  int       `json:"items"`
}

// endedRuns is how many runs that have ended are shown.
const endedRuns = 30

// counter takes the census. A table of Carrel's form is read whole, by the engine's own client, which is nobody's
// request; so not more often than every tenth of the time, however many pages ask.
type counter struct {
	mu    sync.Mutex
	last  census
	err   error
	after time.Time // when to look again
}

func (c *counter) take(ctx context.Context, db *sdk.Client, table string) (census, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	begun := time.Now()
	if begun.Before(c.after) {
		return c.last, c.err
	}
	c.last, c.err = look(ctx, db, table)
	took := time.Since(begun)
	c.last.Took = took.Round(time.Millisecond).String()
	c.after = time.Now().Add(max(900*time.Millisecond, 10*took))
	return c.last, c.err
}

func look(ctx context.Context, db *sdk.Client, table string) (census, error) {
	t := tally{people: map[string]*person{}}
	project := "#pk, #sk, #id, #thread, #n, #connected, #agent, #status, #cancel, #attempts, #created, #ended, " +
		"#lease, #deadline, " +
		"#seats, #waiting, #closing, #expires"
	names := map[string]string{}
	for _, alias := range strings.Split(project, ", ") {
		names[alias] = alias[1:]
	}
	pages := sdk.NewScanPaginator(db, &sdk.ScanInput{TableName: aws.String(table), ConsistentRead: aws.Bool(true),
		ProjectionExpression: &project, ExpressionAttributeNames: names})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return census{}, fmt.Errorf("reading the table: %w", err)
		}
		for _, item := range page.Items {
			if err := t.count(item); err != nil {
				return census{}, fmt.Errorf("reading the table: %w", err)
			}
		}
	}
	return t.census(), nil
}

// tally is a census that is being taken.
type tally struct {
	people map[string]*person
	runs   []run
	items  int
}

// count takes one item in. It reads keys, and only to show them: those that it does not know it merely counts.
func (t *tally) count(item map[string]types.AttributeValue) error {
	var k struct {
		PK      string `dynamodbav:"pk"`
		SK      string `dynamodbav:"sk"`
		Expires int64  `dynamodbav:"expires"`
	}
	if err := attributevalue.UnmarshalMap(item, &k); err != nil {
		return err
	}
	t.items++
	of, isUsers := strings.CutPrefix(k.PK, "U#")
	if !isUsers {
		return nil
	}
	user, part, _ := strings.Cut(of, "#")
	p := t.people[user]
	if p == nil {
		p = &person{User: user, Connections: []connection{}}
		t.people[user] = p
	}
	p.Items++
	gone := k.Expires != 0 && k.Expires < time.Now().Unix()
	switch kind, _, _ := strings.Cut(k.SK, "#"); {
	case part != "" && kind == "E":
		p.Records++
	case part != "" || gone:
	case kind == "THREAD":
		p.Threads++
	case kind == "CONN":
		var c connection
		err := attributevalue.UnmarshalMap(item, &c)
		p.Connections = append(p.Connections, c)
		return err
	case kind == "DESK":
		var d struct {
			Seats   map[string]string `dynamodbav:"seats"`
			Waiting []any             `dynamodbav:"waiting"`
			Closing bool              `dynamodbav:"closing"`
		}
		err := attributevalue.UnmarshalMap(item, &d)
		p.Seats, p.Waiting, p.Closing = len(d.Seats), len(d.Waiting), d.Closing
		return err
	case kind == "RUN":
		r := run{User: user}
		err := attributevalue.UnmarshalMap(item, &r)
		t.runs = append(t.runs, r)
		return err
	}
	return nil
}

func (t *tally) census() census {
	c := census{People: []*person{}, Runs: []run{}, Items: t.items}
	for _, p := range t.people {
		slices.SortFunc(p.Connections, func(a, b connection) int { return cmp.Compare(a.Connected, b.Connected) })
		c.People = append(c.People, p)
	}
	slices.SortFunc(c.People, func(a, b *person) int { return cmp.Compare(a.User, b.User) })
	// Those that live first, oldest first; then those that have ended, newest first.
	slices.SortFunc(t.runs, func(a, b run) int {
		if (a.Ended == 0) != (b.Ended == 0) {
			return cmp.Compare(min(a.Ended, 1), min(b.Ended, 1))
		}
		return cmp.Or(cmp.Compare(b.Ended, a.Ended), cmp.Compare(a.Created, b.Created), cmp.Compare(a.ID, b.ID))
	})
	ended := 0
	for _, r := range t.runs {
		if r.Ended != 0 {
			if ended++; ended > endedRuns {
				break
			}
		}
		c.Runs = append(c.Runs, r)
	}
	return c
}
