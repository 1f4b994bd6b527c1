package tool

import (
	"encoding/json"
	"slices"
	"strings"
	"unicode"
)

// Outside returns a copy of the tool whose results hold text from outside of the deployment, such as a page of the web.
// Such a text may try to instruct the model. The results say so in their metadata, and the tools with AskOutside then
// ask a person.
func (t Tool) Outside() Tool {
	t.outside = true
	return t
}

// Conversation is what a model had read before it requested a call.
type Conversation struct {
	Outside bool     // it holds a result of a tool with Outside
	Person  []string // the person's messages
}

// Wrote reports whether the person wrote the name of a host, as a whole word. The person may have written it as a part
// of an address.
func (c Conversation) Wrote(host string) bool {
	separates := func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '.' && r != '-' }
	is := func(word string) bool { return host != "" && strings.EqualFold(strings.Trim(word, ".-"), host) }
	return slices.ContainsFunc(c.Person, func(text string) bool {
		return slices.ContainsFunc(strings.FieldsFunc(text, separates), is)
	})
}

// AskOutside returns a copy of the tool that asks a person before some calls, if the model had read text from outside
// of the deployment: the text may have made the model request the call. question returns the question about a call with
// these arguments, or "" for none. It must compute its answer from them, as the function of AskWhen does. If the
// Conversation is not known, it counts as one with text from outside.
func (t Tool) AskOutside(question func(args json.RawMessage, before Conversation) string) Tool {
	t.askOutside = question
	return t
}
