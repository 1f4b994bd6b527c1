package agui

import "encoding/json"

// The names of the CUSTOM events that report the state of a run to the person. They do not change the messages.
const (
	ProgressName = "carrel.progress" // see Progress
	SourceName   = "carrel.source"   // see Source
)

// Progress is the value of CUSTOM carrel.progress: how far a tool call is.
type Progress struct {
	Call    string  `json:"toolCallId"`
	Done    float64 `json:"done"`
	Total   float64 `json:"total,omitempty"` // 0: it is not known
	Message string  `json:"message,omitempty"`
}

// ProgressOf decodes CUSTOM carrel.progress. ok is false for any other event.
func ProgressOf(e Event) (p Progress, ok bool) {
	ok = isProgress(e) && json.Unmarshal(e.Value, &p) == nil && p.Call != ""
	return p, ok
}

// Source is the value of CUSTOM carrel.source: the tools of a server are missing from the run.
type Source struct {
	Server string `json:"server"`
	State  string `json:"state"` // late or down
}

// SourceOf decodes CUSTOM carrel.source. ok is false for any other event.
func SourceOf(e Event) (s Source, ok bool) {
	ok = e.Type == Custom && e.Name == SourceName && json.Unmarshal(e.Value, &s) == nil && s.Server != ""
	return s, ok
}

func isProgress(e Event) bool { return e.Type == Custom && e.Name == ProgressName }
