package calls_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"carrel/shared/engine"
	"carrel/shared/model/internal/calls"
)

// collector writes the deltas down as "name(arguments)".
type collector struct{ text strings.Builder }

func (c *collector) emit(d engine.Delta) bool {
	if d.ToolStart != nil {
		fmt.Fprintf(&c.text, " %s:%s", d.ToolStart.ID, d.ToolStart.Name)
	}
	c.text.WriteString(d.ToolArgs)
	return true
}

func at(i int) *int { return &i }

func TestCalls(t *testing.T) {
	for _, c := range []struct {
		name   string
		pieces []calls.Piece
		want   string
	}{
		{"one call in pieces", []calls.Piece{{Index: at(0), ID: "a", Name: "add"}, {Index: at(0), Args: "{}"}},
			"a:add{}"},
		{"interleaved arguments", []calls.Piece{{Index: at(0), ID: "a", Name: "add"},
			{Index: at(1), ID: "b", Name: "sub"}, {Index: at(1), Args: `{"x"`}, {Index: at(0), Args: `{"y"`},
			{Index: at(1), Args: `:1}`},
			{Index: at(0), Args: `:2}`}}, `a:add{"y":2} b:sub{"x":1}`},
		{"P9 every index is 0", []calls.Piece{{Index: at(0), ID: "a", Name: "add", Args: `{"x":1}`},
			{Index: at(0), ID: "b", Name: "add", Args: `{"x":2}`}}, `a:add{"x":1} b:add{"x":2}`},
		{"P9 every index is 0, in pieces", []calls.Piece{{Index: at(0), ID: "a", Name: "add"},
			{Index: at(0), Args: "{}"}, {Index: at(0), ID: "b", Name: "sub"}, {Index: at(0), Args: "{ }"}},
			"a:add{} b:sub{ }"},
		{"P10 no index", []calls.Piece{{ID: "a", Name: "add"}, {Args: `{"x"`}, {Args: `:1}`}, {ID: "b", Name: "sub"},
			{Args: `{}`}}, `a:add{"x":1} b:sub{}`},
		{"the id in every piece", []calls.Piece{{Index: at(0), ID: "a", Name: "add"},
			{Index: at(0), ID: "a", Args: "{"}, {Index: at(0), ID: "a", Args: "}"}}, "a:add{}"},
		{"the name in every piece", []calls.Piece{{Index: at(0), ID: "a", Name: "add", Args: "{"},
			{Index: at(0), Name: "add", Args: "}"}}, "a:add{}"},
		{"neither id nor index", []calls.Piece{{Name: "add", Args: `{"x":1}`}, {Name: "add", Args: `{"x":2}`}},
			`call_1:add{"x":1} call_2:add{"x":2}`},
		{"the id after the name", []calls.Piece{{Index: at(0)}, {Index: at(0), Args: "{", ID: "a"},
			{Index: at(0), Name: "add"}, {Index: at(0), Args: "}"}}, "a:add{}"},
		{"P11 a call without a name", []calls.Piece{{Index: at(0), ID: "a", Args: "{}"}, {Index: at(1), ID: "b",
			Name: "sub", Args: "{}"}}, "b:sub{}"},
		{"an empty piece", []calls.Piece{{Index: at(0)}}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got collector
			s := calls.Calls{Emit: got.emit}
			for _, p := range c.pieces {
				s.Add(p)
			}
			made, dropped, _ := s.End()
			if strings.TrimSpace(got.text.String()) != c.want {
				t.Errorf("got %q, want %q", got.text.String(), c.want)
			}
			if n := strings.Count(got.text.String(), ":a") + strings.Count(got.text.String(), ":s"); made != n {
				t.Errorf("made %d calls, want %d", made, n)
			}
			if want := strings.Contains(c.name, "without a name"); (dropped == 1) != want {
				t.Errorf("dropped %d calls", dropped)
			}
		})
	}
}

func TestCalls_FirstCallIsLive(t *testing.T) {
	var got collector
	s := calls.Calls{Emit: got.emit}
	s.Add(calls.Piece{Index: at(0), ID: "a", Name: "add"})
	s.Add(calls.Piece{Index: at(1), ID: "b", Name: "sub"})
	s.Add(calls.Piece{Index: at(0), Args: "{"})
	if want := " a:add{"; got.text.String() != want {
		t.Errorf("before the end: got %q, want %q", got.text.String(), want)
	}
	s.EndCall(0)
	if want := " a:add{ b:sub"; got.text.String() != want {
		t.Errorf("after the end of the first call: got %q, want %q", got.text.String(), want)
	}
}

func TestCalls_StopsWhenNothingIsWanted(t *testing.T) {
	n := 0
	s := calls.Calls{Emit: func(engine.Delta) bool { n++; return false }}
	if s.Add(calls.Piece{ID: "a", Name: "add", Args: "{}"}) || n != 1 {
		t.Errorf("emitted %d deltas after the consumer had stopped, want 1", n)
	}
}

// Interleaving must not change a call's name or its arguments.
func FuzzCalls(f *testing.F) {
	f.Add([]byte{0, 1, 1, 0, 2, 0})
	f.Fuzz(func(t *testing.T, order []byte) {
		texts := []string{`{"first":[1,2,3]}`, `{"second":"x"}`, `{}`}
		sent := make([]int, len(texts))
		got := map[string]string{}
		var names []string
		s := calls.Calls{Emit: func(d engine.Delta) bool {
			if d.ToolStart != nil {
				names = append(names, d.ToolStart.Name)
			} else {
				got[names[len(names)-1]] += d.ToolArgs
			}
			return true
		}}
		for i := range texts {
			s.Add(calls.Piece{Index: at(i), ID: fmt.Sprint("id", i), Name: fmt.Sprint("tool", i)})
		}
		order = append(order, slices.Repeat([]byte{0, 1, 2}, 20)...)
		for _, o := range order {
			i := int(o) % len(texts)
			if sent[i] < len(texts[i]) {
				s.Add(calls.Piece{Index: at(i), Args: texts[i][sent[i] : sent[i]+1]})
				sent[i]++
			}
		}
		s.End()
		for i, want := range texts {
			if args := got[fmt.Sprint("tool", i)]; args != want || !json.Valid([]byte(args)) {
				t.Errorf("order %v: call %d has the arguments %q, want %q", order, i, args, want)
			}
		}
	})
}
