package store_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"carrel/shared/chat"
	"carrel/shared/store"
)

// plan chooses the actions of the processes.
func (m *visits) plan() []*visit {
	var ids []chat.ConnectionID
	for n := range 3 + m.rng.IntN(12) {
		// owner records are in no user's partition
		ids = append(ids, chat.ConnectionID(fmt.Sprintf("c%d-%d=", n, m.seed)))
	}
	var all []*visit
	for range 8 + m.rng.IntN(16) {
		id := ids[m.rng.IntN(len(ids))]
		switch dice := m.rng.IntN(100); {
		case dice < 45:
			all = append(all, &visit{name: "connect " + string(id), own: id, do: connects})
		case dice < 68:
			all = append(all, &visit{name: "hello " + string(id), own: id, hello: true, do: saysHello})
		case dice < 80:
			all = append(all, &visit{name: "disconnect " + string(id), own: id,
				do: func(ctx context.Context, v *visit) error { return m.store.Disconnect(ctx, v.own) }})
		case dice < 85:
			all = append(all, &visit{name: "gone " + string(id), own: id,
				do: func(ctx context.Context, v *visit) error { return m.store.RemoveConnection(ctx, v.own) }})
		case dice < 91:
			all = append(all, &visit{name: "sign out", do: endsSessions(store.Ending{})})
		case dice < 94:
			all = append(all, &visit{name: "bar", do: endsSessions(store.Ending{Bar: true})})
		case dice < 98:
			all = append(all, &visit{name: "unbar", do: func(ctx context.Context,
				_ *visit) error {
				return m.store.Unbar(ctx)
			}})
		default:
			all = append(all, &visit{name: "erase", do: erases})
		}
	}
	return all
}

// row returns a connection. Its user signed in up to 20 seconds before its first use.
func (m *visits) row(id chat.ConnectionID) chat.Connection {
	if m.signIns[id].IsZero() {
		m.signIns[id] = m.now.Add(-time.Duration(m.rng.IntN(20)) * time.Second).Truncate(time.Second)
	}
	return chat.Connection{ID: id, Thread: "t", N: 1, Connected: m.now, TokenExpires: m.now.Add(time.Hour),
		SignedIn: m.signIns[id]}
}

func connects(ctx context.Context, v *visit) error {
	evicted, err := v.m.store.Connect(ctx, v.m.row(v.own))
	v.m.counts["evicted"] += len(evicted)
	if err != nil && len(evicted) > 0 {
		v.m.fail("%s: failed with %v, but returned the connections %q to be closed", v.name, err, evicted)
	}
	return err
}

func saysHello(ctx context.Context, v *visit) error {
	_, err := v.m.store.Watch(ctx, v.m.row(v.own))
	return err
}

func endsSessions(e store.Ending) func(context.Context, *visit) error {
	return func(ctx context.Context, v *visit) error {
		_, err := v.m.store.EndSessions(ctx, e)
		return err
	}
}

func erases(ctx context.Context, v *visit) error {
	if err := v.m.store.RequestErasure(ctx); err != nil {
		return err
	}
	return v.m.store.EraseUser(ctx, func([]chat.Connection) error { return nil })
}

// judgeOutcome compares the result of a process with the results that are allowed.
func (m *visits) judgeOutcome(v *visit, err error) {
	kind, _, _ := strings.Cut(v.name, " ")
	switch {
	case v.dead:
		return
	case errors.Is(err, chat.ErrReplaced) && (v.hello || kind == "connect"):
		m.counts[kind+": replaced"]++
	case errors.Is(err, chat.ErrSignedOut) && (v.hello || kind == "connect"):
		if m.before.before < m.signIns[v.own].Unix() && !m.everBarred {
			m.fail("%s: rejected although its session was never ended: %v", v.name, err)
		}
		m.counts[kind+": signed out"]++
	case err != nil:
		m.fail("%s: %v", v.name, err)
	default:
		m.counts[kind]++
	}
	m.note("%s: ended, %v", v.name, err)
}

// sessionsState is the stored state of a user's connections.
type sessionsState struct {
	before int64
	barred bool
	open   map[string]int64
	rows   map[string]int64 // the time of sign-in of each connection
}

// look reads the stored state after a write and compares it with docs/data.md.
func (m *visits) look(v *visit) {
	now, err := m.read()
	if err != nil {
		m.fail("%s: %v", v.name, err)
		return
	}
	m.counts["writes"]++
	ids := slices.Sorted(maps.Keys(now.rows))
	if len(ids) == m.limits.Connections {
		m.counts["full"]++
	}
	if len(ids) > m.limits.Connections {
		m.fail("%s: %d rows, more than the limit of %d: %q", v.name, len(ids), m.limits.Connections, ids)
	}
	if open := slices.Sorted(maps.Keys(now.open)); !slices.Equal(open, ids) {
		m.fail("%s: entries %q, rows %q", v.name, open, ids)
	}
	for id, signedIn := range now.rows {
		if now.barred || signedIn <= now.before {
			m.fail("%s: %s signed in at %d has a row; ended up to %d, barred %v", v.name, id, signedIn, now.before,
				now.barred)
		}
	}
	for id := range m.before.rows {
		_, left := now.rows[id]
		old := m.now.Sub(time.UnixMilli(m.before.open[id])) > 2*time.Hour+10*time.Minute
		if v.hello && !left && !old && id != string(v.own) {
			m.fail("%s: removed %s, which is another connection", v.name, id)
		}
	}
	if now.before < m.before.before {
		m.fail("%s: the time up to which sign-ins are ended moved back from %d to %d", v.name, m.before.before,
			now.before)
	}
	m.before, m.everBarred = now, m.everBarred || now.barred
}

func (m *visits) read() (s sessionsState, err error) {
	s.rows = map[string]int64{}
	out, err := m.db.Query(m.t.Context(), &dynamodb.QueryInput{
		TableName: &m.table, ConsistentRead: aws.Bool(true), KeyConditionExpression: aws.String("pk = :pk"),
		ExpressionAttributeValues: map[string]types.AttributeValue{":pk": &types.AttributeValueMemberS{Value: "U#" +
			m.user.Key()}},
	})
	if err != nil {
		return s, err
	}
	for _, item := range out.Items {
		var i struct {
			SK     string           `dynamodbav:"sk"`
			Open   map[string]int64 `dynamodbav:"open"`
			Before int64            `dynamodbav:"before"`
			Barred bool             `dynamodbav:"barred"`
			Signed int64            `dynamodbav:"signed"`
		}
		if err := attributevalue.UnmarshalMap(item, &i); err != nil {
			return s, err
		}
		if id, isRow := strings.CutPrefix(i.SK, "CONN#"); isRow {
			s.rows[id] = i.Signed
		} else if i.SK == "SESSIONS" {
			s.open, s.before, s.barred = i.Open, i.Before, i.Barred
		}
	}
	return s, nil
}
