package audit_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"carrel/shared/agui"
	"carrel/shared/chat"
	"carrel/shared/wire"
)

// arms are one good frame of each type of client frame, with every field that there is. Attacks are made of them, one
// field after the other; so a new type and a new field are attacked as soon as they stand here, and
// TestTheAttackerKnowsEveryFrame wants them here.
func arms(own holdings) []wire.ClientFrame {
	h := wire.Header{RequestID: "asked-by-whoever-says-it"}
	n, err := strconv.ParseInt(countsUp, 10, 64)
	if err != nil {
		panic(err) // it is a constant
	}
	thread, run, cursor := chat.ThreadID(own.thread), chat.RunID(own.run), &chat.Cursor{Epoch: chat.Epoch(own.epoch), Seq: 1}
	return []wire.ClientFrame{
		&wire.Hello{Header: h, N: n, ThreadID: thread, Cursor: cursor},
		&wire.Run{Header: h, N: n, RunID: freshRun, ThreadID: thread, Agent: "assistant", WhenBusy: chat.Reject,
			Messages: []agui.Message{{ID: own.message, Role: agui.RoleUser, Content: "/say what I say"}},
			Resume:   []agui.Resume{{InterruptID: chat.InterruptID(own.interrupt), Status: agui.ResumeResolved, Payload: json.RawMessage(`{"approved":true}`)}}},
		&wire.Cancel{Header: h, RunID: run},
		&wire.Threads{Header: h, Before: listCursor("T#1#", own.thread), Limit: 100},
		&wire.History{Header: h, ThreadID: thread, Before: 1000, Limit: 100},
		&wire.Rename{Header: h, ThreadID: thread, Title: "what I call it"},
		&wire.Runs{Header: h, Before: listCursor("R#", own.run), Limit: 100},
		&wire.Ping{Header: h, ThreadID: thread, Cursor: cursor},
		&wire.Delete{Header: h, ThreadID: thread},
		&wire.SignOut{Header: h, Everywhere: true, CancelRuns: true},
		&wire.Erase{Header: h, Confirm: true},
	}
}

// final reports whether nothing more can be asked after a frame of this type: the account or its sessions are gone.
func final(kind wire.Type) bool { return kind == wire.TypeErase || kind == wire.TypeSignOut }

// listCursor is a cursor of a list as the store makes it of a row with this id.
func listCursor(prefix, id string) chat.ListCursor {
	return chat.ListCursor(base64.RawURLEncoding.EncodeToString([]byte(prefix + "1700000000000#" + id)))
}

// armed are the frames as they are sent, by type and in the order of arms.
func armed(t *testing.T, own holdings) (types []wire.Type, frames map[wire.Type][]byte) {
	t.Helper()
	frames = map[wire.Type][]byte{}
	for _, f := range arms(own) {
		b, err := wire.EncodeClient(f)
		if err != nil {
			t.Fatal(err)
		}
		decoded, bad := wire.DecodeClient(b)
		if bad != nil {
			t.Fatal(bad)
		}
		types = append(types, decoded.Request().Type)
		frames[decoded.Request().Type] = b
	}
	return types, frames
}

// A type of client frame that shared/wire decodes and the attacker has not fails this test, and so does a field.
func TestTheAttackerKnowsEveryFrame(t *testing.T) {
	t.Attr("row", "C5: the attack covers every frame type")
	own := newHoldings()
	own.epoch = "epoch"
	_, frames := armed(t, own)
	decoded := decodedTypes(t)
	for kind := range decoded {
		if frames[kind] == nil {
			t.Errorf("shared/wire takes frames of type %s, and the attacker has none", kind)
		}
	}
	for kind := range frames {
		if !decoded[kind] {
			t.Errorf("the attacker has a frame of type %s, which shared/wire does not take", kind)
		}
	}
	fields := 0
	for _, f := range arms(own) {
		fields += filled(t, fmt.Sprintf("%T", f), reflect.ValueOf(f))
	}
	t.Attr("figure", fmt.Sprintf("%d types of client frame with %d fields, all of them attacked", len(frames), fields))
}

// decodedTypes are the types that shared/wire's decoder of client frames has a case for.
func decodedTypes(t *testing.T) map[wire.Type]bool {
	t.Helper()
	values, cases := map[string]string{}, []string{}
	for _, name := range []string{"wire.go", "decode.go"} {
		file, err := parser.ParseFile(token.NewFileSet(), "../../shared/wire/"+name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.FuncDecl:
				return n.Name.Name == "decodeFrame"
			case *ast.CaseClause:
				for _, e := range n.List {
					cases = append(cases, e.(*ast.Ident).Name)
				}
			case *ast.ValueSpec:
				if len(n.Values) != 1 {
					break
				}
				if l, ok := n.Values[0].(*ast.BasicLit); ok && l.Kind == token.STRING {
					values[n.Names[0].Name] = strings.Trim(l.Value, `"`)
				}
			}
			return true
		})
	}
	all := map[wire.Type]bool{}
	for _, name := range cases {
		if values[name] == "" {
			t.Fatalf("shared/wire decodes %s, which is no constant of wire.go", name)
		}
		all[wire.Type(values[name])] = true
	}
	if len(all) == 0 {
		t.Fatal("shared/wire/decode.go has no decodeFrame with cases: this test must learn where the types are")
	}
	return all
}

// filled counts the fields of a frame, none of which may be empty: an empty one is not attacked.
func filled(t *testing.T, path string, v reflect.Value) (n int) {
	t.Helper()
	switch v.Kind() {
	case reflect.Pointer:
		return filled(t, path, v.Elem())
	case reflect.Slice:
		if v.Type().Elem() == reflect.TypeFor[agui.Message]() || v.Type().Elem().Kind() != reflect.Struct {
			break // of a message a client may send three fields only
		}
		for i := range v.Len() {
			n += filled(t, fmt.Sprintf("%s[%d]", path, i), v.Index(i))
		}
		return n
	case reflect.Struct:
		for i := range v.NumField() {
			if name := v.Type().Field(i).Name; name != "Type" {
				n += filled(t, path+"."+name, v.Field(i))
			}
		}
		return n
	}
	if v.IsZero() {
		t.Errorf("%s is empty in the attacker's frame: it is not attacked", path)
	}
	return 1
}

// leaf is a text somewhere in a frame.
type leaf struct {
	path string
	at   []any // keys and indices
	text string
}

// leaves are all texts of a frame but its type.
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

// with is a frame with other values, as JSON, in some places.
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
	return marshalled(t, v)
}

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
func marshalled(t *testing.T, v any) []byte {
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
func quoted(text string) string {
	b, err := json.Marshal(text)
	if err != nil {
		panic(err) // text always encodes
	}
	return string(b)
}
