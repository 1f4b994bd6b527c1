package agui

import "slices"

// Header describes a run: when it began, which agent and model answered, and the tokens used. The server's transcripts
// and a client's view derive it from the run's events by Add, so that a reload shows the same as the live view. The
// zero Header is ready to use.
type Header struct {
	At    int64   `json:"at,omitempty"`    // the timestamp of RUN_STARTED
	Agent string  `json:"agent,omitempty"` // the agent that answers, from RUN_STARTED
	Model string  `json:"model,omitempty"` // the first model that the usage names
	Usage []Usage `json:"usage,omitempty"` // from the terminal event
}

// Add takes the next event of the run.
func (h *Header) Add(e Event) {
	switch {
	case e.Type == RunStarted:
		h.At, h.Agent = e.Timestamp, MarksOf(e.Metadata).Agent
	case e.Terminal():
		h.SetUsage(e.Usage)
	}
}

// SetUsage sets the run's usage, and the model that it names.
func (h *Header) SetUsage(usage []Usage) {
	h.Usage, h.Model = usage, ""
	if i := slices.IndexFunc(usage, func(u Usage) bool { return u.Model != "" }); i >= 0 {
		h.Model = usage[i].Model
	}
}
