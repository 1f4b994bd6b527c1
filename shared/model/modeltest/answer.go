package modeltest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"
	"unicode/utf8"
)

// Model is the model that the servers have. It signs its reasoning.
const Model = "test-model"

// Answer is what a model answers, whatever the wire.
type Answer struct {
	Parts []Part
	Stop  Stop // "" is End, or Tools if a part is a call
	Usage Usage
}

// Part is one part of an answer. One of Text, Reasoning, Redacted and Call is set; a Reasoning part may have only a
// Signature.
type Part struct {
	Text      string
	Reasoning string
	Signature string // of the reasoning; Sign makes one that the server accepts back
	Redacted  string // reasoning that only the provider can read
	Call      *Call
}

// Call is a tool call.
type Call struct{ ID, Name, Arguments string }

// Usage counts tokens as AG-UI defines them: Input includes the tokens read from and written to the cache, Output
// includes Reasoning.
type Usage struct{ Input, CacheRead, CacheWrite, Output, Reasoning int }

// Stop says why the answer ends.
type Stop string

// The reasons.
const (
	StopEnd       Stop = "end"
	StopTools     Stop = "tools"
	StopMaxTokens Stop = "max_tokens"
	StopFiltered  Stop = "filtered"
	StopPause     Stop = "pause"     // only Messages has it
	StopTooLong   Stop = "too_long"  // the context window is full; Messages and Converse
	StopMalformed Stop = "malformed" // the model's tool call cannot be read; Converse
	StopUnknown   Stop = "a_reason_of_next_year"
)

func (a Answer) stop() Stop {
	if a.Stop != "" {
		return a.Stop
	}
	for _, p := range a.Parts {
		if p.Call != nil {
			return StopTools
		}
	}
	return StopEnd
}

// Sign returns the signature of a model's reasoning. The servers refuse reasoning with another one.
func Sign(model, reasoning string) string {
	mac := hmac.New(sha256.New, []byte("modeltest "+model))
	mac.Write([]byte(reasoning)) // a hash never fails
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// Sealed returns reasoning of a model in a form that only the servers can read: as a redacted block and as encrypted
// reasoning.
func Sealed(model, reasoning string) string {
	return base64.StdEncoding.EncodeToString([]byte("sealed " + Sign(model, reasoning) + " " + reasoning))
}

// sealedBy reports whether a text is Sealed's with this model.
func sealedBy(model, text string) bool {
	plain, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		return false
	}
	rest, ok := strings.CutPrefix(string(plain), "sealed ")
	signature, reasoning, _ := strings.Cut(rest, " ")
	return ok && signature == Sign(model, reasoning)
}

// pieces splits a text as a model streams it: a few characters at a time.
func pieces(text string) []string {
	var all []string
	for text != "" {
		n := 0
		for range 5 {
			_, size := utf8.DecodeRuneInString(text[n:])
			n += size
		}
		all = append(all, text[:n])
		text = text[n:]
	}
	return all
}

// object encodes a JSON object.
func object(v map[string]any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // texts, numbers and lists of them: it cannot fail
	}
	return string(b)
}

type m = map[string]any
