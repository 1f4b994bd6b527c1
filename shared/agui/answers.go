package agui

import "encoding/json"

// The names of Carrel's CUSTOM events.
const (
	CustomAnswer  = "carrel.answer"  // the mark of a whole answer: see Answer
	CustomAgain   = "carrel.again"   // an answer was cut and is requested again: see Again
	CustomAttempt = "carrel.attempt" // the worker died, and another continues the run
	CustomWaiting = "carrel.waiting" // the run waits for its model: see Waiting
)

// Answer is the value of CUSTOM carrel.answer, the mark that ends each answer of a model. It enters the same record of
// the log as the end of the answer. An answer without the mark was cut, so none of its calls was made.
type Answer struct {
	N        int       `json:"n"`                 // counts the line's marks from 1
	Message  string    `json:"message,omitempty"` // the id of the answer's first message; "": it has none
	Stop     string    `json:"stop"`              // why the model stopped
	Provider string    `json:"provider,omitempty"`
	Model    string    `json:"model,omitempty"`
	Usage    *Usage    `json:"usage,omitempty"` // without the names
	Calls    int       `json:"calls,omitempty"` // how many tool calls the answer has
	Rejected Rejection `json:"rejected,omitempty"`
	Trimmed  *Trimmed  `json:"trimmed,omitempty"` // what the model was not sent; it stays so for the rest of the run
}

// Rejection says why a whole answer is of no use.
type Rejection string

// The reasons to reject an answer.
const (
	RejectedEmpty     Rejection = "empty"     // it has neither text nor calls
	RejectedMalformed Rejection = "malformed" // the provider could not read what the model wrote
	RejectedOutput    Rejection = "output"    // it does not fit the schema of the output
	RejectedCall      Rejection = "call"      // it was cut at the output limit in its last call, which is not made
)

// Trimmed says which part of a conversation a model is not sent, because it does not fit the model.
type Trimmed struct {
	From    string `json:"from,omitempty"`    // the id of the first message that is sent; "": all are
	Results string `json:"results,omitempty"` // results of tools before the message of this id are cut to 2 KB
}

// Again is the value of CUSTOM carrel.again.
type Again struct {
	Message  string `json:"messageId"` // the id of the answer's first message
	Why      string `json:"why"`       // the kind of the provider's failure
	Provider string `json:"provider,omitempty"`
	Model    string `json:"model,omitempty"`
	Usage    *Usage `json:"usage,omitempty"` // what the provider had reported; nil: nothing
}

// Waiting is the value of CUSTOM carrel.waiting.
type Waiting struct {
	Why   string `json:"why"`               // busy, thinking or trying_another_model
	Until int64  `json:"untilMs,omitempty"` // the time of the next try, in ms since the epoch
}

// WaitingOf decodes CUSTOM carrel.waiting. It returns nil for any other event.
func WaitingOf(e Event) *Waiting {
	var w Waiting
	if e.Type != Custom || e.Name != CustomWaiting || json.Unmarshal(e.Value, &w) != nil {
		return nil
	}
	return &w
}

// CustomEvent makes a CUSTOM event.
func CustomEvent(name string, value any) Event {
	b, err := json.Marshal(value)
	if err != nil {
		b = []byte("null") // the values of this package are texts and numbers: it cannot fail
	}
	return Event{Type: Custom, Name: name, Value: b}
}

// AnswerOf decodes the mark of an answer. ok is false for any other event.
func AnswerOf(e Event) (a Answer, ok bool) {
	ok = e.Type == Custom && e.Name == CustomAnswer && json.Unmarshal(e.Value, &a) == nil
	return a, ok
}

// Answers returns the marks of the run's answers, in order.
func Answers(events []Event) (all []Answer) {
	for _, e := range events {
		if a, ok := AnswerOf(e); ok {
			all = append(all, a)
		}
	}
	return all
}

// TokensOf returns the usage of a run, one entry for each model, as the marks of its answers report it. It includes
// answers that were cut.
func TokensOf(events []Event) (usage []Usage) {
	for _, e := range events {
		if a, ok := AnswerOf(e); ok {
			usage = AddUsage(usage, named(a.Usage, a.Provider, a.Model))
		}
		var again Again
		if e.Type == Custom && e.Name == CustomAgain && json.Unmarshal(e.Value, &again) == nil {
			usage = AddUsage(usage, named(again.Usage, again.Provider, again.Model))
		}
	}
	return usage
}

func named(u *Usage, provider, model string) Usage {
	if u == nil {
		return Usage{}
	}
	named := *u
	named.Provider, named.Model = provider, model
	return named
}

// AddUsage adds the usage of one model call to the usage of a run.
func AddUsage(usage []Usage, u Usage) []Usage {
	if u == (Usage{Provider: u.Provider, Model: u.Model}) {
		return usage
	}
	for i, have := range usage {
		if have.Provider == u.Provider && have.Model == u.Model {
			usage[i] = have.Plus(u)
			return usage
		}
	}
	return append(usage, u)
}
