package tool

import "fmt"

// Effects are what a call of a tool does to what is kept outside of the run, in the words of the Model Context Protocol.
// The zero value is a tool that only adds, and that must not be called twice for one purpose.
type Effects struct {
	ReadOnly    bool // it changes nothing
	Destructive bool // it deletes or overwrites something, so a person is asked before each call
	Idempotent  bool // a second call with the same IdempotencyKey does no more than the first
}

// repeatable reports whether a call that a dead worker left under way is made again.
func (e Effects) repeatable() bool { return e.ReadOnly || e.Idempotent }

// ReadOnly is the tool with the promise that a call of it changes nothing. So it may be called again, as an idempotent one.
func (t Tool) ReadOnly() Tool {
	t.effects.ReadOnly = true
	return t
}

// Destructive is the tool with the warning that a call of it deletes or overwrites something. A person is asked before each
// call: in the words of AskFirst, or in general ones.
func (t Tool) Destructive() Tool {
	t.effects.Destructive = true
	return t
}

// Idempotent is the tool with the promise that calling it again with the same IdempotencyKey does no more than calling
// it once. A call of it that a dead worker left under way is made again, where another tool's is not: the model is told
// then that its outcome is not known.
func (t Tool) Idempotent() Tool {
	t.effects.Idempotent = true
	return t
}

// AskFirst is the tool with a question that a person answers before each call. It shows the call's arguments beside it.
// Without a question only a destructive tool asks.
func (t Tool) AskFirst(question string) Tool {
	t.question = question
	return t
}

// asks is what a person is asked before each call; "": nothing.
func (t Tool) asks() string {
	if t.question == "" && t.effects.Destructive {
		return fmt.Sprintf("May %s be called? It can delete or overwrite something.", t.spec.Name)
	}
	return t.question
}
