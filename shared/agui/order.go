package agui

// Order checks that a stream of events obeys AG-UI's order rules, as its npm client does (which aborts a run that
// breaks one): RUN_STARTED first, START before CONTENT and END of an id, everything closed before RUN_FINISHED, one
// run after the other, nothing after a terminal event but the next RUN_STARTED. The zero Order is at the start of a
// stream. It is for one goroutine.
type Order struct {
	run     string
	open    map[string]EventType
	started bool
}

// Check takes the next event and returns an error that names the rule it breaks; the event is then not counted.
func (o *Order) Check(e Event) error { panic("not built") }
