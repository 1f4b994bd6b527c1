package agui

import "slices"

// Header says when a run began, who answered and what that used. The server's transcripts and a client's view derive it
// from the run's events by Add, so that a reload shows what was shown live. The zero Header knows nothing yet.
type Header struct {
	At    int64   `json:"at,omitempty"`    // the timestamp of RUN_STARTED
	Agent string  `json:"agent,omitempty"` // that answers, as RUN_STARTED says
	Model string  `json:"model,omitempty"` // the first that the usage names
	Usage []Usage `json:"usage,omitempty"` // of the terminal event
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

// SetUsage sets what the run used, and with it the model.
func (h *Header) SetUsage(usage []Usage) {
	h.Usage, h.Model = usage, ""
	if i := slices.IndexFunc(usage, func(u Usage) bool { return u.Model != "" }); i >= 0 {
		h.Model = usage[i].Model
	}
}
