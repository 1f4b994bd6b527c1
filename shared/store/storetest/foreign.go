package storetest

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"carrel/shared/chat"
	"carrel/shared/chat/chattest"
	"carrel/shared/store"
)

// copyRow copies a connection's row of one user into another's partition, past everything that knows who may.
func (w *World) copyRow(from, to string, id chat.ConnectionID, change func(map[string]types.AttributeValue)) {
	w.T.Helper()
	for _, item := range w.items() {
		if stringOf(item["pk"]) != "U#"+chattest.User(w.T, from).Key() || stringOf(item["sk"]) != "CONN#"+string(id) {
			continue
		}
		item["pk"] = &types.AttributeValueMemberS{Value: "U#" + chattest.User(w.T, to).Key()}
		change(item)
		if _, err := w.DB.PutItem(w.T.Context(), &dynamodb.PutItemInput{TableName: &w.Name, Item: item}); err != nil {
			w.T.Fatal(err)
		}
		return
	}
	w.T.Fatalf("%s has no connection %s", from, id)
}

// foreignRows: a row that was written for another user, or for another connection, is no connection of anybody's,
// wherever it stands; the user's own go on.
func foreignRows(t *testing.T, w *World) {
	ctx, alice, bob := t.Context(), w.As("alice"), w.As("bob")
	own, theirs := socket(1, "t1"), socket(2, "t1")
	own.N, theirs.N = 1, 1
	must[chat.Connection](t)(alice.Watch(ctx, own))
	must[chat.Connection](t)(bob.Watch(ctx, theirs))
	before := must[[]chat.Connection](t)(bob.Connections(ctx))
	moved := socket(3, "").ID
	planted, refused := 0, 0
	refuse := func(what string, err error) {
		t.Helper()
		if wantErr(t, what, err, chat.ErrForeign); errors.Is(err, chat.ErrForeign) {
			refused++
		}
	}
	for name, plant := range w.forgeries(own.ID, theirs.ID, moved) {
		plant()
		planted++
		id := theirs.ID
		if name == "one of alice's under another key" {
			id = moved
		}
		list, err := alice.Connections(ctx)
		foreign := (*chat.ForeignError)(nil)
		if !errors.As(err, &foreign) || foreign.Connection != id || len(list) != 1 ||
			list[0] != owned(t, "alice", own) {
			t.Errorf("%s: listed %+v, %v", name, list, err)
		}
		refuse(name+": listed", err)
		_, err = alice.Connection(ctx, id)
		refuse(name+": read", err)
		again := own
		again.ID, again.N = id, 9
		_, err = alice.Watch(ctx, again)
		refuse(name+": watched", err)
		found := must[[]store.Finding](t)(alice.Verify(ctx))
		if !slices.ContainsFunc(found, func(f store.Finding) bool { return f.Kind == "connection of two users" }) {
			t.Errorf("%s: verify finds %+v", name, found)
		}
		must[chat.Connection](t)(alice.Watch(ctx, own))
		if err := alice.RemoveConnection(ctx, id); err != nil {
			t.Error(err)
		}
	}
	if after := must[[]chat.Connection](t)(bob.Connections(ctx)); !slices.Equal(after, before) {
		t.Errorf("bob's are %+v, were %+v", after, before)
	}
	t.Attr("figure",
		fmt.Sprintf("%d rows of another's or of another connection among a user's: %d times refused where they were listed, read or watched", planted, refused))
	w.copyRow("bob", "alice", theirs.ID, func(map[string]types.AttributeValue) {})
	if err := alice.RequestErasure(ctx); err != nil {
		t.Fatal(err)
	}
	if told := w.pass(alice); len(told) != 1 || told[0].ID != own.ID {
		t.Errorf("of one who is erased, farewell is said to %+v", told)
	}
}

// forgeries are rows of alice's partition that are not of her connections.
func (w *World) forgeries(own, theirs, moved chat.ConnectionID) map[string]func() {
	return map[string]func(){
		"a copy of bob's": func() { w.copyRow("bob", "alice", theirs, func(map[string]types.AttributeValue) {}) },
		"one of alice's that names bob's": func() {
			w.copyRow("alice", "alice", own, func(i map[string]types.AttributeValue) {
				i["sk"] = &types.AttributeValueMemberS{Value: "CONN#" + string(theirs)}
				i["id"] = &types.AttributeValueMemberS{Value: string(theirs)}
			})
		},
		"one of alice's under another key": func() {
			w.copyRow("alice", "alice", own, func(i map[string]types.AttributeValue) {
				i["sk"] = &types.AttributeValueMemberS{Value: "CONN#" + string(moved)}
			})
		},
	}
}

// rowsWithoutSeal: what was written before rows said for whom is the user's, but nobody's to post to until its next
// hello.
func rowsWithoutSeal(t *testing.T, w *World) {
	ctx, alice := t.Context(), w.As("alice")
	old := socket(1, "t1")
	old.N = 1
	must[chat.Connection](t)(alice.Watch(ctx, old))
	w.copyRow("alice", "alice", old.ID, func(i map[string]types.AttributeValue) { delete(i, "owner") })
	if got := must[chat.Connection](t)(alice.Connection(ctx, old.ID)); got != old {
		t.Errorf("read %+v, want nobody's", got)
	}
	if got := must[[]chat.Connection](t)(alice.Connections(ctx)); len(got) != 1 || got[0] != old {
		t.Errorf("listed %+v, want nobody's", got)
	}
	if got := must[chat.Connection](t)(alice.Watch(ctx, old)); got != old {
		t.Errorf("a repeat made it %+v", got)
	}
	old.N = 2
	if got := must[chat.Connection](t)(alice.Watch(ctx, old)); got != owned(t, "alice", old) {
		t.Errorf("its next hello made it %+v", got)
	}
}
