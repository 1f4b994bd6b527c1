package agui

import "encoding/json"

// Marks are what Carrel says of a message beside its text, and of a run on its RUN_STARTED, as metadata.carrel.
type Marks struct {
	Incomplete bool   `json:"incomplete,omitempty"` // the message was cut off before its end
	Again      bool   `json:"again,omitempty"`      // a worker died; the next attempt at the run asks for the answer again
	Stopped    bool   `json:"stopped,omitempty"`    // the person stopped the run
	Stop       string `json:"stop,omitempty"`       // why the model stopped, on the last message of an answer
	Edited     bool   `json:"edited,omitempty"`     // a person changed the arguments of a tool call, on its result
	Outcome    string `json:"outcome,omitempty"`    // what became of a tool call that did not succeed, on its result
	// Continues is the id of the first message of this answer, on its later ones: each time text opens again, it is a new
	// message, so that text and thinking stay in their order.
	Continues string `json:"continues,omitempty"`
	Agent     string `json:"agent,omitempty"` // the agent that answers, on RUN_STARTED
}

// Metadata returns m as the metadata of an event; nil if m says nothing.
func (m Marks) Metadata() json.RawMessage {
	if m == (Marks{}) {
		return nil
	}
	b, err := json.Marshal(struct {
		Carrel Marks `json:"carrel"`
	}{m})
	if err != nil {
		return nil // texts and booleans: it cannot fail
	}
	return b
}

// MarksOf reads the marks in an event's or a message's metadata. Metadata of another shape has none. The member's name is
// exact: encoding/json would also read Carrel, which a client may write.
func MarksOf(metadata json.RawMessage) Marks {
	var members map[string]json.RawMessage
	var m Marks
	if json.Unmarshal(metadata, &members) != nil || json.Unmarshal(members["carrel"], &m) != nil {
		return Marks{}
	}
	return m
}
