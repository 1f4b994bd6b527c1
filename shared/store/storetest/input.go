package storetest

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/feature/dynamodb/attributevalue"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/store"
)

// input: a short input is stored inside RUN, which never exceeds one write unit. A longer input is an item of its own.
// The end of a run removes the input from RUN, however it ends.
func input(t *testing.T, w *World) {
	ctx, alice := t.Context(), w.As("alice")
	const id = "0190b5c6-7d3e-7a42-9f5e-2f1b4c8d6e7"
	ask := func(run chat.RunID, thread chat.ThreadID, inside bool) {
		t.Helper()
		a := Asked(run, thread)
		if !inside {
			a = AskedLong(run, thread)
		}
		must[store.Admitted](t)(alice.Admit(ctx, a))
		row := w.runRow(run)
		if _, has := row["in"]; has != inside || bytesOf(t, row) > 1024 || w.hasInput(run) == inside {
			t.Errorf("%s was admitted as %s of %d bytes", run, textOf(row), bytesOf(t, row))
		}
		if got := must[store.Admission](t)(alice.Input(ctx, run)); !reflect.DeepEqual(got, inputOf(a)) {
			t.Errorf("the input of %s is %+v", run, got)
		}
	}
	without := func(run chat.RunID, how string) {
		t.Helper()
		if row := w.runRow(run); row["in"] != nil || strings.Contains(textOf(row), "question of") {
			t.Errorf("%s was %s and has content: %s", run, how, textOf(row))
		}
	}
	ask(id+"1", id, true)
	ask(id+"2", id, false)
	ask(id+"3", id, true)
	must[store.Cancelled](t)(alice.Cancel(ctx, id+"3"))
	without(id+"3", "cancelled in the queue")
	h := w.Claim(alice, id+"1")
	w.Append(h, Started(h))
	must[store.Cancelled](t)(alice.Cancel(ctx, id+"1"))
	if row := w.runRow(id + "1"); row["in"] == nil || bytesOf(t, row) > 1024 {
		t.Errorf("the claimed run is %s of %d bytes", textOf(row), bytesOf(t, row))
	}
	w.End(h, Finished(h))
	without(id+"1", "ended")
	must[[]store.Run](t)(alice.StartQueued(ctx))
	if h := w.Claim(alice, id+"2"); !reflect.DeepEqual(h.Input(), inputOf(AskedLong(id+"2", id))) {
		t.Errorf("the claimed run has the input %+v", h.Input())
	}
	ask("r4", "t4", true)
	h = w.Claim(alice, "r4")
	must[store.Thread](t)(alice.Delete(ctx, "t4"))
	if _, err := h.End(ctx, []agui.Event{Started(h), Finished(h)}); err == nil {
		t.Error("the end of a run on a deleted thread has no error")
	}
	without("r4", "ended on a deleted thread")
}

// runRow returns the item RUN of a run.
func (w *World) runRow(run chat.RunID) map[string]types.AttributeValue {
	w.T.Helper()
	for _, i := range w.items() {
		if stringOf(i["sk"]) == "RUN#"+string(run) {
			return i
		}
	}
	w.T.Fatalf("%s does not exist", run)
	return nil
}

// hasInput reports whether a run has an input item.
func (w *World) hasInput(run chat.RunID) bool {
	for _, i := range w.items() {
		if strings.HasPrefix(stringOf(i["sk"]), "IN#"+string(run)+"#") {
			return true
		}
	}
	return false
}

// bytesOf returns at least the size of an item with scalar attributes, as DynamoDB counts it.
func bytesOf(t *testing.T, item map[string]types.AttributeValue) (size int) {
	t.Helper()
	var values map[string]any
	if err := attributevalue.UnmarshalMap(item, &values); err != nil {
		t.Fatal(err)
	}
	for name, v := range values {
		if b, ok := v.([]byte); ok {
			v = string(b)
		}
		size += len(name) + len(fmt.Sprint(v))
	}
	return size
}
