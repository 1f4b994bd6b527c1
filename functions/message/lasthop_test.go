package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb/types"

	"carrel/shared/chat"
	"carrel/shared/monitor"
	"carrel/shared/wire"
	"carrel/shared/wire/wiretest"
)

// everyFrame returns a frame of each type that a client may send, with ids of another user's data.
func everyFrame(t *testing.T) map[wire.Type]string {
	t.Helper()
	text := map[wire.Type]string{}
	for typ, frame := range wiretest.Encoded(t, wiretest.Values{N: 7, Thread: "t", Epoch: "e", Run: "r1", NewRun: "r2",
		Message: "u2", Text: "a word of bob", Title: "a word of bob"}) {
		text[typ] = string(frame)
	}
	return text
}

// items are the table's, as text by key.
func (r longRig) items() map[string]string {
	r.t.Helper()
	all := map[string]string{}
	pages := dynamodb.NewScanPaginator(r.db, &dynamodb.ScanInput{TableName: aws.String("carrel"),
		ConsistentRead: aws.Bool(true)})
	for pages.HasMorePages() {
		page, err := pages.NextPage(r.t.Context())
		if err != nil {
			r.t.Fatal(err)
		}
		for _, i := range page.Items {
			text, err := json.Marshal(i)
			if err != nil {
				r.t.Fatal(err)
			}
			all[value(i["pk"])+" "+value(i["sk"])] = string(text)
		}
	}
	return all
}

func value(v types.AttributeValue) string { return v.(*types.AttributeValueMemberS).Value }

// plant copies the row of a window's connection into another user's partition, and removes optionally its owner record.
func (r longRig) plant(w window, into chat.User, ownerToo bool) {
	r.t.Helper()
	key := map[string]types.AttributeValue{
		"pk": &types.AttributeValueMemberS{Value: "U#" + w.user.Key()},
		"sk": &types.AttributeValueMemberS{Value: "CONN#" + string(w.id)},
	}
	got, err := r.db.GetItem(r.t.Context(), &dynamodb.GetItemInput{TableName: aws.String("carrel"), Key: key})
	if err != nil || got.Item == nil {
		r.t.Fatal(got, err)
	}
	got.Item["pk"] = &types.AttributeValueMemberS{Value: "U#" + into.Key()}
	if _, err := r.db.PutItem(r.t.Context(), &dynamodb.PutItemInput{TableName: aws.String("carrel"),
		Item: got.Item}); err != nil {
		r.t.Fatal(err)
	}
	if ownerToo {
		r.remove("C#"+string(w.id), "OWNER")
	}
}

// violations takes the lines that were written since, and checks that each violation is one metric of a second's
// resolution and one audit record, which agree and name no user.
func (r longRig) violations(guard monitor.Guard, u chat.User) int {
	r.t.Helper()
	metrics, records := 0, 0
	for line := range strings.Lines(r.log.String()) {
		var l struct {
			AWS struct {
				CloudWatchMetrics []struct {
					Metrics []struct {
						Name              string
						StorageResolution int
					}
				}
			} `json:"_aws"`
			Guard, UserHash, Msg, User, Time string
			Request, ConnectionHash          string
			IsolationViolation               int
		}
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			r.t.Fatal(err)
		}
		switch {
		case l.IsolationViolation > 0:
			metrics++
			if m := l.AWS.CloudWatchMetrics[0].Metrics; m[0].Name != monitor.IsolationViolation ||
				m[0].StorageResolution != 1 || l.UserHash != u.Hash() {
				r.t.Errorf("the metric is %s", line)
			}
		case l.Msg == "isolation violation":
			records++
			if l.User != u.Hash() || l.Time == "" {
				r.t.Errorf("the record is %s", line)
			}
		default:
			continue
		}
		if l.Guard != string(guard) || l.Request != "q" || len(l.ConnectionHash) != 16 {
			r.t.Errorf("want the guard %s, the request and the connection's hash: %s", guard, line)
		}
		for _, word := range []string{"alice", "bob", "word", "w1=", `"t"`, "r1", "r2"} {
			if strings.Contains(line, word) {
				r.t.Errorf("it says %q: %s", word, line)
			}
		}
	}
	if metrics != records {
		r.t.Errorf("%d metrics and %d records", metrics, records)
	}
	r.log.Reset()
	return metrics
}

// A frame of one user on a connection that is recorded for another posts nothing, changes nothing, and is a violation,
// which is written before the function returns. This holds for every type of frame, for a frame that cannot be decoded,
// and for an expired token. The cases are: the row is among alice's own, a copy of it is among bob's, and that copy has
// no owner record.
func TestFrame_ConnectionOfAnotherUser(t *testing.T) {
	t.Attr("row", "C5: each frame must come from its connection's user")
	t.Attr("row", "E2: a frame on another user's connection is recorded")
	r := newLongRig(t)
	alice := r.window("alice", "w1=")
	alice.send(hi)
	alice.does("r1", "for alice only", false)
	bob := r.window("bob", "w1=")
	bodies := map[string]string{"no frame": `{"type":"nothing"}`, "an expired token": `{"type":"ping"}`}
	frames := everyFrame(t)
	for _, typ := range wire.ClientTypes() {
		bodies[string(typ)] = frames[typ]
	}
	refused, longest := 0, time.Duration(0)
	for _, c := range []struct {
		name  string
		guard monitor.Guard
		plant func()
	}{
		{"alice's row", monitor.ConnectionOwner, func() {}},
		{"a copy among bob's", monitor.ConnectionRecord, func() { r.plant(alice, bob.user, false) }},
		{"a copy and no owner record", monitor.ConnectionRecord, func() { r.plant(alice, bob.user, true) }},
	} {
		c.plant()
		before := r.items()
		r.edge.Frames(alice.id)
		r.edge.Invoked()
		for name, body := range bodies {
			r.log.Reset()
			bob.life = time.Hour
			if name == "an expired token" {
				bob.life = -time.Second
			}
			began := time.Now()
			posted := bob.send(body)
			longest = max(longest, time.Since(began))
			if n := r.violations(c.guard, bob.user); n != 1 || len(posted) > 0 {
				t.Errorf("%s, %s: %d violations, %d frames posted", c.name, name, n, len(posted))
			}
			refused++
		}
		if after := r.items(); !maps.Equal(after, before) || len(r.edge.Invoked()) > 0 {
			t.Errorf("%s: something has changed, or was invoked", c.name)
		}
	}
	if longest > time.Second {
		t.Errorf("a violation was out after %v", longest)
	}
	t.Attr("figure",
		fmt.Sprintf("%d frames on another user's connection, of all %d types: %d violations, nothing posted, nothing "+
			"changed, the last out after %d ms",
			refused, len(frames), refused, longest.Milliseconds()))
}

// A connection whose records are missing, expired or without an owner belongs to no other user. Its frame is answered,
// or it is closed so that its client connects again.
func TestFrame_MissingRecordIsNoViolation(t *testing.T) {
	t.Attr("row", "E2: a missing record is no violation")
	r := newLongRig(t)
	all := wire.ClientTypes()
	last := []wire.Type{wire.TypeErase, wire.TypeSignOut} // after which all is refused
	all = append(slices.DeleteFunc(all, func(t wire.Type) bool { return slices.Contains(last, t) }), last...)
	for name, change := range map[string]func(window){
		"no row": func(w window) { r.remove("U#"+w.user.Key(), "CONN#"+string(w.id)) },
		"no record": func(w window) {
			r.remove("U#"+w.user.Key(), "CONN#"+string(w.id))
			r.remove("C#"+string(w.id), "OWNER")
		},
		"expired": func(window) { r.at = r.at.Add(3 * time.Hour) },
	} {
		w := r.window("alice with "+name, strings.NewReplacer(" ", "", ",", "").Replace(name)+"=")
		for n, typ := range all {
			w.send(fmt.Sprintf(`{"type":"hello","n":%d,"threadId":"t"}`, 10+2*n))
			change(w)
			if posted := w.send(strings.Replace(everyFrame(t)[typ], `"n":7`, fmt.Sprintf(`"n":%d`, 11+2*n),
				1)); len(posted) == 0 && len(w.edge.Closed()) == 0 {
				t.Errorf("%s: %s was neither answered nor closed", name, typ)
			}
		}
	}
	n := strings.Count(r.log.String(), monitor.IsolationViolation+`":1`)
	if n > 0 {
		t.Errorf("a violation was counted: %s", r.log.String())
	}
	t.Attr("figure", fmt.Sprintf("%d violations in 3 kinds of missing records, of all %d types of frames", n, len(all)))
}

// remove deletes an item past everything that knows who may.
func (r longRig) remove(pk, sk string) {
	r.t.Helper()
	_, err := r.db.DeleteItem(r.t.Context(), &dynamodb.DeleteItemInput{TableName: aws.String("carrel"),
		Key: map[string]types.AttributeValue{
			"pk": &types.AttributeValueMemberS{Value: pk}, "sk": &types.AttributeValueMemberS{Value: sk},
		}})
	if err != nil {
		r.t.Fatal(err)
	}
}
