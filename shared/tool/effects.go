package tool

// Effects declare what a call of a tool does to data outside of the run, in the terms of the Model Context Protocol.
// The zero value describes a tool that only adds data, and whose call must not be repeated.
type Effects struct {
	ReadOnly    bool // a call changes nothing
	Destructive bool // a call deletes or overwrites data, so a person must approve each call
	Idempotent  bool // a second call with the same IdempotencyKey does no more than the first
}

// repeatable reports whether a call that a worker's death cut off is made again.
func (e Effects) repeatable() bool { return e.ReadOnly || e.Idempotent }

// ReadOnly returns a copy of the tool that promises that a call changes nothing. So a call may be repeated, as with an
// idempotent tool.
func (t Tool) ReadOnly() Tool {
	t.effects.ReadOnly = true
	return t
}

// Destructive returns a copy of the tool that declares that a call deletes or overwrites data. A person must approve
// each call. Without AskFirst the question is a general one.
func (t Tool) Destructive() Tool {
	t.effects.Destructive = true
	return t
}

// Idempotent returns a copy of the tool that promises that a second call with the same IdempotencyKey does no more than
// the first. So a call that a worker's death cut off is repeated. Without this promise, or ReadOnly, the call is not
// repeated, and the model reads that its outcome is unknown.
func (t Tool) Idempotent() Tool {
	t.effects.Idempotent = true
	return t
}
