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

// copyRow copies the row of a connection from the partition of one user to the partition of another, directly in the
// table. change modifies the copy.
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

// foreignRows: the store rejects a row whose seal names another user or another connection, and a row without a seal.
// The user's own connections still work.
func foreignRows(t *testing.T, w *World) {
	ctx, alice, bob := t.Context(), w.As("alice"), w.As("bob")
	own, bobs := socket(1, "t1"), socket(2, "t1")
	own.N, bobs.N = 1, 1
	must[chat.Connection](t)(alice.Watch(ctx, own))
	must[chat.Connection](t)(bob.Watch(ctx, bobs))
	before := must[[]chat.Connection](t)(bob.Connections(ctx))
	moved := socket(3, "").ID
	planted, rejected := 0, 0
	wantForeign := func(action string, err error) {
		t.Helper()
		if wantErr(t, action, err, chat.ErrForeign); errors.Is(err, chat.ErrForeign) {
			rejected++
		}
	}
	for name, plant := range w.forgeries(own.ID, bobs.ID, moved) {
		plant()
		planted++
		id := bobs.ID
		if name == "a row of alice under another key" {
			id = moved
		}
		list, err := alice.Connections(ctx)
		if !slices.Equal(chat.Foreign(err), []chat.ConnectionID{id}) || len(list) != 1 ||
			list[0] != owned(t, "alice", own) {
			t.Errorf("%s: Connections returned %+v, %v", name, list, err)
		}
		wantForeign(name+": Connections", err)
		_, err = alice.Connection(ctx, id)
		wantForeign(name+": Connection", err)
		again := own
		again.ID, again.N = id, 9
		_, err = alice.Watch(ctx, again)
		wantForeign(name+": Watch", err)
		w.unchanged(name, again.N)
		found := must[[]store.Finding](t)(alice.Verify(ctx))
		if !slices.ContainsFunc(found, func(f store.Finding) bool { return f.Kind == "connection of two users" }) {
			t.Errorf("%s: Verify returned %+v", name, found)
		}
		must[chat.Connection](t)(alice.Watch(ctx, own))
		if err := alice.RemoveConnection(ctx, id); err != nil {
			t.Error(err)
		}
	}
	if after := must[[]chat.Connection](t)(bob.Connections(ctx)); !slices.Equal(after, before) {
		t.Errorf("bob's connections are %+v, were %+v", after, before)
	}
	t.Attr("figure",
		fmt.Sprintf("%d rows of another user or connection in a user's partition: "+
			"rejected %d times when listed, read or watched", planted, rejected))
	w.copyRow("bob", "alice", bobs.ID, func(map[string]types.AttributeValue) {})
	if err := alice.RequestErasure(ctx); err != nil {
		t.Fatal(err)
	}
	if notified := w.pass(alice); len(notified) != 1 || notified[0].ID != own.ID {
		t.Errorf("the erasure notified %+v, want only %s", notified, own.ID)
	}
}

// unchanged checks that Watch has given no row the number n.
func (w *World) unchanged(name string, n int64) {
	w.T.Helper()
	if slices.ContainsFunc(w.items(), func(i map[string]types.AttributeValue) bool { return numberOf(i["n"]) == n }) {
		w.T.Errorf("%s: Watch has changed the row", name)
	}
}

// forgeries returns functions that each store a row in alice's partition that does not belong to a connection of alice.
func (w *World) forgeries(own, bobs, moved chat.ConnectionID) map[string]func() {
	return map[string]func(){
		"a copy of a row of bob": func() { w.copyRow("bob", "alice", bobs, func(map[string]types.AttributeValue) {}) },
		"a row of bob without a seal": func() {
			w.copyRow("bob", "alice", bobs, func(i map[string]types.AttributeValue) { delete(i, "owner") })
		},
		"a row of alice with a connection id of bob": func() {
			w.copyRow("alice", "alice", own, func(i map[string]types.AttributeValue) {
				i["sk"] = &types.AttributeValueMemberS{Value: "CONN#" + string(bobs)}
				i["id"] = &types.AttributeValueMemberS{Value: string(bobs)}
			})
		},
		"a row of alice under another key": func() {
			w.copyRow("alice", "alice", own, func(i map[string]types.AttributeValue) {
				i["sk"] = &types.AttributeValueMemberS{Value: "CONN#" + string(moved)}
			})
		},
	}
}
