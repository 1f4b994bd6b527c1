package agui

import "encoding/json"

// Marks are Carrel's own fields in the metadata of events and messages (metadata.carrel).
type Marks struct {
	Incomplete bool   `json:"incomplete,omitempty"` // the message was cut off before its end
	Again      bool   `json:"again,omitempty"`      // a worker died, and the next attempt requests the answer again
	Stopped    bool   `json:"stopped,omitempty"`    // the person stopped the run
	Stop       string `json:"stop,omitempty"`       // why the model stopped, on the last message of an answer
	Edited     bool   `json:"edited,omitempty"`     // a person changed the arguments of a tool call, on its result
	Outcome    string `json:"outcome,omitempty"`    // the outcome of a tool call that did not succeed, on its result
	// Outside says on a tool call's result that it holds text from outside of the deployment.
	Outside bool `json:"outside,omitempty"`
	// Continues is the id of the answer's first message, on its later messages. An answer has several messages because
	// text that opens again is a new message, so that text and reasoning keep their order.
	Continues string `json:"continues,omitempty"`
	Agent     string `json:"agent,omitempty"` // the agent that answers, on RUN_STARTED
}

// Metadata returns m as the metadata of an event, or nil if m is zero.
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

// MarksOf decodes the marks in the metadata of an event or message. Metadata of another shape has none. The member's
// name must match exactly: encoding/json alone would also accept "Carrel", which a client may send.
func MarksOf(metadata json.RawMessage) Marks {
	if len(metadata) == 0 { // as in most messages, of which a model's history has hundreds
		return Marks{}
	}
	var members map[string]json.RawMessage
	var m Marks
	if json.Unmarshal(metadata, &members) != nil || json.Unmarshal(members["carrel"], &m) != nil {
		return Marks{}
	}
	return m
}
