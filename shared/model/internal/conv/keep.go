package conv

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"encoding/json"
	"io"
	"strings"
)

// maxKeep bounds a Keep value in bytes when it is unpacked.
const maxKeep = 1 << 20

// note is one part of an answer in the order in which the model wrote it.
type note struct {
	Text *int            `json:"t,omitempty"` // a text of so many bytes
	Call bool            `json:"c,omitempty"` // the next call
	Kept json.RawMessage `json:"k,omitempty"` // reasoning in the provider's form, or what belongs to the call
}

// Notes records the order of an answer's parts and what the provider wants back. It becomes the answer's Keep.
type Notes struct {
	all []note
	any bool // something must be kept
}

// Text records a piece of text.
func (n *Notes) Text(text string) {
	if k := len(n.all) - 1; k >= 0 && n.all[k].Text != nil {
		*n.all[k].Text += len(text)
		return
	}
	size := len(text)
	n.all = append(n.all, note{Text: &size})
}

// Call records that a call begins, with what the provider wants back beside it, which may be nil.
func (n *Notes) Call(kept json.RawMessage) {
	n.all = append(n.all, note{Call: true, Kept: kept})
	n.any = n.any || kept != nil
}

// Keep records a block of reasoning in the provider's form.
func (n *Notes) Keep(block json.RawMessage) {
	n.all = append(n.all, note{Kept: block})
	n.any = true
}

// Prefix returns the beginning of the Keep values of a provider's model. A Bedrock profile is not part of the model's
// name, because values survive a change of profile.
func Prefix(provider, model string) string { return provider + "/" + model + "@v1:" }

// Pack returns the answer's Keep. It is "" if nothing must be kept, unless always is set: for a model that thinks, Keep
// also records that an answer had no reasoning.
func (n *Notes) Pack(prefix string, always bool) string {
	if !n.any && !always {
		return ""
	}
	plain := Object(n.all)
	var packed bytes.Buffer
	w, err := flate.NewWriter(&packed, flate.BestSpeed)
	if err == nil {
		_, err = w.Write(plain)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil || packed.Len() >= len(plain) {
		return prefix + "p" + base64.RawStdEncoding.EncodeToString(plain)
	}
	return prefix + "z" + base64.RawStdEncoding.EncodeToString(packed.Bytes())
}

// unpack returns the notes of a Keep value with this prefix.
func unpack(prefix, keep string) ([]note, bool) {
	text, ok := strings.CutPrefix(keep, prefix)
	if !ok || prefix == "" || text == "" {
		return nil, false
	}
	plain, err := base64.RawStdEncoding.DecodeString(text[1:])
	if err != nil {
		return nil, false
	}
	if text[0] == 'z' {
		plain, err = io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(plain)), maxKeep))
		if err != nil {
			return nil, false
		}
	}
	var notes []note
	if json.Unmarshal(plain, &notes) != nil {
		return nil, false
	}
	return notes, true
}

// merge puts an answer's text and calls into the order of the notes. Texts come before the first call, because
// providers demand that nothing but calls follows one; reasoning stays before its call. What the notes do not know
// comes last.
func merge(notes []note, text string, calls []Block) []Block {
	var texts, tail []Block // up to the first call, and from there on
	add := func(b Block) {
		if len(tail) > 0 {
			tail = append(tail, b)
		} else {
			texts = append(texts, b)
		}
	}
	rest, exact := text, fits(notes, text)
	for _, n := range notes {
		switch {
		case n.Text != nil:
			size := len(rest)
			if exact {
				size = *n.Text
			}
			if size > 0 || len(tail) == 0 {
				texts = append(texts, Block{Text: rest[:size]})
			}
			rest = strings.TrimPrefix(rest[size:], between)
		case n.Call && len(calls) > 0:
			call := calls[0]
			call.Call.Kept = n.Kept
			tail = append(tail, call)
			calls = calls[1:]
		case !n.Call:
			add(Block{Kept: n.Kept})
		}
	}
	if strings.TrimSpace(rest) != "" {
		texts = append(texts, Block{Text: rest})
	}
	return tidy(append(append(texts, tail...), calls...))
}

// fits reports whether the notes describe this text: the engine joins an answer's texts with an empty line.
func fits(notes []note, text string) bool {
	var sizes []int
	for _, n := range notes {
		if n.Text != nil && *n.Text > 0 {
			sizes = append(sizes, *n.Text)
		}
	}
	total := max(0, len(sizes)-1) * len(between)
	for _, n := range sizes {
		total += n
	}
	return total == len(text)
}

// tidy removes empty texts from an answer without reasoning. Beside reasoning they stay as the model wrote them.
func tidy(blocks []Block) []Block {
	kept := false
	for _, b := range blocks {
		kept = kept || b.Kept != nil
	}
	var out []Block
	for _, b := range blocks {
		if b.Call != nil || b.Kept != nil || kept || strings.TrimSpace(b.Text) != "" {
			out = append(out, b)
		}
	}
	return out
}
