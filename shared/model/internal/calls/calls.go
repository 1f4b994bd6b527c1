// Package calls puts the pieces of a model's tool calls in order. Providers stream the arguments of several calls at
// once, and some leave out indices, ids or names. The engine receives one call after the other.
package calls

import (
	"encoding/json"
	"fmt"

	"carrel/shared/engine"
)

// Piece is a piece of a tool call as a provider streams it.
type Piece struct {
	Index *int   // nil: the provider does not number its calls
	ID    string // "" in later pieces; some providers never send one
	Name  string // "" in later pieces
	Args  string // JSON text
}

// Calls orders the calls of one answer. The first call is passed on at once. The pieces of the others are held back
// until the calls before them have ended. The zero value with Emit set is ready for use.
type Calls struct {
	Emit func(engine.Delta) bool // returns false if nothing more is wanted
	all  []*call
	done int // calls that were passed on completely
}

type call struct {
	index   *int
	id      string
	name    string
	args    string // pieces that were not passed on
	whole   string // all pieces
	started bool
	ended   bool
}

// Add adds a piece and passes on the pieces that are in order. It returns false if Emit did.
//
// An id that is new begins a call, even if its index is in use, because some providers give every call the index 0. A
// piece without an id continues the last call with its index, or the last call if it has no index. A piece with a name
// and without an id begins a call if the call that it would continue has another name or complete arguments.
func (c *Calls) Add(p Piece) bool {
	k := c.find(p)
	if k == nil {
		if p.ID == "" && p.Name == "" && p.Args == "" {
			return true
		}
		k = &call{index: p.Index}
		c.all = append(c.all, k)
	}
	if k.id == "" {
		k.id = p.ID
	}
	if k.name == "" {
		k.name = p.Name
	}
	k.args += p.Args
	k.whole += p.Args
	return c.pass()
}

// find returns the call that a piece continues, or nil if it begins one.
func (c *Calls) find(p Piece) *call {
	var last *call
	for _, k := range c.all {
		if p.ID != "" && k.id == p.ID {
			return k
		}
		if p.Index == nil || k.index != nil && *k.index == *p.Index {
			last = k
		}
	}
	switch {
	case last == nil, p.ID != "" && last.id != "":
		return nil
	case p.Name != "" && last.name != "" && (p.Name != last.name || json.Valid([]byte(last.whole))):
		return nil
	}
	return last
}

// EndCall says that the call with this index has all its pieces. A provider that does not say so ends all calls with
// End.
func (c *Calls) EndCall(index int) bool {
	for _, k := range c.all {
		if k.index != nil && *k.index == index {
			k.ended = true
		}
	}
	return c.pass()
}

// pass passes on the pieces of the first call that has not ended, and of the calls behind it once it has.
func (c *Calls) pass() bool {
	for ; c.done < len(c.all); c.done++ {
		k := c.all[c.done]
		if k.name == "" {
			if k.ended {
				continue
			}
			return true
		}
		if !k.started {
			k.started = true
			id := k.id
			if id == "" {
				id = fmt.Sprintf("call_%d", c.done+1)
			}
			if !c.Emit(engine.Delta{ToolStart: &engine.ToolStart{ID: id, Name: k.name}}) {
				return false
			}
		}
		if k.args != "" {
			args := k.args
			k.args = ""
			if !c.Emit(engine.Delta{ToolArgs: args}) {
				return false
			}
		}
		if !k.ended {
			return true
		}
	}
	return true
}

// End ends all calls and passes on the pieces that were held back. It returns how many calls were made and how many
// were dropped because they have no name. ok is false if Emit returned false.
func (c *Calls) End() (made, dropped int, ok bool) {
	for _, k := range c.all {
		k.ended = true
		if k.name == "" {
			dropped++
		}
	}
	return len(c.all) - dropped, dropped, c.pass()
}
