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

// person summarises the items of one user.
type person struct {
	User        string       `json:"user"` // the part of the partition key that identifies the user
	Erasing     bool         `json:"erasing"`
	Slots       int          `json:"slots"`
	Queued      int          `json:"queued"`
	Threads     int          `json:"threads"`
	Records     int          `json:"records"` // in all of the user's logs
	Items       int          `json:"items"`
	Connections []connection `json:"connections"`
}

type connection struct {
	ID        string `json:"id"        dynamodbav:"id"`
	Thread    string `json:"thread"    dynamodbav:"thread"`
	N         int64  `json:"n"         dynamodbav:"n"`
	Connected int64  `json:"connected" dynamodbav:"connected"`
}

// run is a run as stored in the table. Times are milliseconds since the epoch.
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

// census summarises the table: its users, runs and items.
type census struct {
	Took   string    `json:"took"`
	People []*person `json:"people"`
	Runs   []run     `json:"runs"` // all live runs, and the newest ended runs
	Items  int       `json:"items"`
}

// endedRuns is the maximum number of ended runs that are shown.
const endedRuns = 30

// counter takes the census. It reads the whole table with the stack's own client, so the scan is not counted as a
// request of a function. To limit the load to a tenth of the time, it repeats the last result for ten times as long as
// the scan took, and for at least 0.9 s.
type counter struct {
	mu    sync.Mutex
	last  census
	err   error
	after time.Time // the next scan is not before this time
}

func (c *counter) take(ctx context.Context, db *sdk.Client, table string) (census, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	begun := time.Now()
	if begun.Before(c.after) {
		return c.last, c.err
	}
	c.last, c.err = scanTable(ctx, db, table)
	took := time.Since(begun)
	c.last.Took = took.Round(time.Millisecond).String()
	c.after = time.Now().Add(max(900*time.Millisecond, 10*took))
	return c.last, c.err
}

func scanTable(ctx context.Context, db *sdk.Client, table string) (census, error) {
	t := censusBuilder{people: map[string]*person{}}
	project := "#pk, #sk, #id, #thread, #n, #connected, #agent, #status, #cancel, #attempts, #created, #ended, " +
		"#lease, #deadline, #slots, #queued, #erasing, #expires"
	names := map[string]string{}
	for _, alias := range strings.Split(project, ", ") {
		names[alias] = alias[1:]
	}
	pages := sdk.NewScanPaginator(db, &sdk.ScanInput{TableName: aws.String(table), ConsistentRead: aws.Bool(true),
		ProjectionExpression: &project, ExpressionAttributeNames: names})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return census{}, fmt.Errorf("scan the table: %w", err)
		}
		for _, item := range page.Items {
			if err := t.count(item); err != nil {
				return census{}, fmt.Errorf("decode an item of the table: %w", err)
			}
		}
	}
	return t.census(), nil
}

// censusBuilder is an unfinished census.
type censusBuilder struct {
	people map[string]*person
	runs   []run
	items  int
}

// count adds one item. It reads keys for display only; an item with an unknown key is counted and otherwise ignored.
func (t *censusBuilder) count(item map[string]types.AttributeValue) error {
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
	expired := k.Expires != 0 && k.Expires < time.Now().Unix()
	switch kind, _, _ := strings.Cut(k.SK, "#"); {
	case part != "" && kind == "E":
		p.Records++
	case part != "" || expired:
	case kind == "THREAD":
		p.Threads++
	case kind == "CONN":
		var c connection
		err := attributevalue.UnmarshalMap(item, &c)
		p.Connections = append(p.Connections, c)
		return err
	case kind == "QUEUE":
		var d struct {
			Slots   map[string]string `dynamodbav:"slots"`
			Queued  []any             `dynamodbav:"queued"`
			Erasing bool              `dynamodbav:"erasing"`
		}
		err := attributevalue.UnmarshalMap(item, &d)
		p.Slots, p.Queued, p.Erasing = len(d.Slots), len(d.Queued), d.Erasing
		return err
	case kind == "RUN":
		r := run{User: user}
		err := attributevalue.UnmarshalMap(item, &r)
		t.runs = append(t.runs, r)
		return err
	}
	return nil
}

func (t *censusBuilder) census() census {
	c := census{People: []*person{}, Runs: []run{}, Items: t.items}
	for _, p := range t.people {
		slices.SortFunc(p.Connections, func(a, b connection) int { return cmp.Compare(a.Connected, b.Connected) })
		c.People = append(c.People, p)
	}
	slices.SortFunc(c.People, func(a, b *person) int { return cmp.Compare(a.User, b.User) })
	// Live runs first, oldest first; then ended runs, newest first.
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
