package attacks_test

import (
	"carrel/infra/testkit"

	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/wire"
	"carrel/shared/wire/wiretest"
)

// frameValues returns the values of the attacker's frames, one of each type and with every field set. Attacks change
// one field after the other, so a new type and a new field are attacked as soon as they stand in shared/wire/wiretest.
func frameValues(own ids) wiretest.Values {
	n, err := strconv.ParseInt(testkit.NextN, 10, 64)
	if err != nil {
		panic(err) // it is a constant
	}
	return wiretest.Values{RequestID: "request-of-the-sender", N: n, Thread: chat.ThreadID(own.thread),
		Epoch: chat.Epoch(own.epoch), Run: chat.RunID(own.run), NewRun: testkit.FreshRun, Message: own.message,
		Text: "/say my words", Title: "my title", Agent: "assistant", WhenBusy: chat.Reject,
		Resume: []agui.Resume{{InterruptID: chat.InterruptID(own.interrupt), Status: agui.ResumeResolved,
			Payload: json.RawMessage(`{"approved":true}`)}},
		ThreadsBefore: listCursor("T#1#", own.thread), RunsBefore: listCursor("R#", own.run), Before: 1000, Limit: 100}
}

// endsSession reports whether the sender can send nothing more after a frame of this type: the account is erased or its
// sessions have ended.
func endsSession(kind wire.Type) bool { return kind == wire.TypeErase || kind == wire.TypeSignOut }

// listCursor returns a cursor of a list as the store makes it from a row with this id.
func listCursor(prefix, id string) chat.ListCursor {
	return chat.ListCursor(base64.RawURLEncoding.EncodeToString([]byte(prefix + "1700000000000#" + id)))
}

// encodedFrames returns the frames as they are sent, by type. The types are in the order of an attack: those after
// which the attacker can send nothing more come last, and before them the one that deletes the thread.
func encodedFrames(t *testing.T, own ids) (types []wire.Type, frames map[wire.Type][]byte) {
	t.Helper()
	last := []wire.Type{wire.TypeDelete, wire.TypeSignOut, wire.TypeErase}
	types = slices.DeleteFunc(wire.ClientTypes(), func(typ wire.Type) bool { return slices.Contains(last, typ) })
	return append(types, last...), wiretest.Encoded(t, frameValues(own))
}

// A field of a client frame that is empty in the attacker's frame fails this test. A type without a frame fails in
// wiretest.
func TestAttack_CoversEveryFrame(t *testing.T) {
	t.Attr("row", "C5: the attack covers every frame type")
	own := newIDs()
	own.epoch = "epoch"
	frames, fields := wiretest.Frames(t, frameValues(own)), 0
	for _, f := range frames {
		fields += countFields(t, fmt.Sprintf("%T", f), reflect.ValueOf(f))
	}
	t.Attr("figure", fmt.Sprintf("%d types of client frame with %d fields, all of them attacked", len(frames), fields))
}

// countFields counts the fields of a frame. None may be empty: an empty field is not attacked.
func countFields(t *testing.T, path string, v reflect.Value) (n int) {
	t.Helper()
	switch v.Kind() {
	case reflect.Pointer:
		return countFields(t, path, v.Elem())
	case reflect.Slice:
		if v.Type().Elem() == reflect.TypeFor[agui.Message]() || v.Type().Elem().Kind() != reflect.Struct {
			break // a client may send only three fields of a message
		}
		for i := range v.Len() {
			n += countFields(t, fmt.Sprintf("%s[%d]", path, i), v.Index(i))
		}
		return n
	case reflect.Struct:
		for i := range v.NumField() {
			if name := v.Type().Field(i).Name; name != "Type" {
				n += countFields(t, path+"."+name, v.Field(i))
			}
		}
		return n
	}
	if v.IsZero() {
		t.Errorf("%s is empty in the attacker's frame, so it is not attacked", path)
	}
	return 1
}

// leaf is a string anywhere in a frame.
type leaf struct {
	path string
	at   []any // keys and indices
	text string
}

// leaves returns all strings of a frame except its type.
func leaves(t *testing.T, frame []byte) []leaf {
	t.Helper()
	var v any
	if err := json.Unmarshal(frame, &v); err != nil {
		t.Fatal(err)
	}
	var all []leaf
	var walk func(v any, path string, at []any)
	walk = func(v any, path string, at []any) {
		switch v := v.(type) {
		case map[string]any:
			for _, k := range slices.Sorted(maps.Keys(v)) {
				walk(v[k], strings.TrimPrefix(path+"."+k, "."), append(slices.Clone(at), k))
			}
		case []any:
			for i, e := range v {
				walk(e, fmt.Sprintf("%s[%d]", path, i), append(slices.Clone(at), i))
			}
		case string:
			if path != "type" {
				all = append(all, leaf{path, at, v})
			}
		}
	}
	walk(v, "", nil)
	return all
}

// with returns a frame with other values, as JSON, at some paths.
func with(t *testing.T, frame []byte, values map[string]string) []byte {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(frame))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatal(err)
	}
	for _, l := range leaves(t, frame) {
		if value, is := values[l.path]; is {
			put(v, l.at, json.RawMessage(value))
		}
	}
	return encode(t, v)
}

// put sets a value at a place in decoded JSON.
func put(v any, at []any, value json.RawMessage) {
	switch v := v.(type) {
	case map[string]any:
		if key := at[0].(string); len(at) > 1 {
			put(v[key], at[1:], value)
		} else {
			v[key] = value
		}
	case []any:
		if i := at[0].(int); len(at) > 1 {
			put(v[i], at[1:], value)
		} else {
			v[i] = value
		}
	}
}

// marshalled is JSON without escapes for HTML.
func encode(t *testing.T, v any) []byte {
	t.Helper()
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		t.Fatal(err)
	}
	return bytes.TrimSpace(b.Bytes())
}

// quoted is a text as JSON.
func quote(text string) string {
	b, err := json.Marshal(text)
	if err != nil {
		panic(err) // text always encodes
	}
	return string(b)
}
