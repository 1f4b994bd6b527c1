package agui

// Folder folds the events of runs, in order, into the messages that they build: the transcript of a run, and a
// client's view of a thread. It is for one goroutine. The zero Folder is ready.
type Folder struct {
	messages []Message
	at       map[string]int // message id → index in messages
	calls    map[string]int // tool call id → index of its assistant message
}

// Add folds one event in. Events that build no message (RUN_FINISHED, STEP_*, CUSTOM) change nothing. The user's own
// messages come from RUN_STARTED's input.
func (f *Folder) Add(e Event) { panic("not built") }

// Messages are the messages so far, oldest first, as a copy.
func (f *Folder) Messages() []Message { panic("not built") }
