package agui

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"

	"carrel/shared/chars"
)

const (
	frame    = 256 // about the bytes of a message or a call beside its text
	leastCut = 256 // texts are cut down to so many bytes before whole messages are dropped
)

// beginning is the beginning of a text, with the number of bytes that were cut off after it.
type beginning struct {
	text strings.Builder
	more int
}

// write adds to a text and keeps the bounds.
func (f *Folder) write(b *beginning, s string) {
	if b.more > 0 {
		b.more += len(s)
		return
	}
	b.text.WriteString(s)
	f.held += len(s)
	if f.most > 0 {
		f.cut(b)
	}
	for f.MaxBytes > 0 && f.held > f.MaxBytes && f.shrink() {
	}
}

// shrink frees memory. It halves the bound of each text, down to leastCut, and after that it drops messages. It returns
// false if it cannot free any more.
func (f *Folder) shrink() bool {
	if f.most == 0 {
		f.most = f.MaxBytes
	}
	if f.most /= 2; f.most < leastCut {
		f.most = f.MaxBytes / 4
		return f.Drop()
	}
	for _, m := range f.messages {
		f.cut(&m.content)
		for _, c := range m.calls {
			f.cut(&c.arguments)
		}
	}
	return true
}

// cut shortens a text to the bound of one text.
func (f *Folder) cut(b *beginning) {
	whole := b.text.String()
	keep := chars.Head(whole, f.most)
	if len(keep) == len(whole) {
		return
	}
	b.more += len(whole) - len(keep)
	f.held -= len(whole) - len(keep)
	b.text = strings.Builder{} // frees the longer buffer
	b.text.WriteString(keep)
}

// Drop drops the older half of the messages that are not the user's, calls together with their results. One message in
// their place states how many were dropped. It returns false if there are fewer than two messages to drop.
func (f *Folder) Drop() bool {
	others := 0
	for _, m := range f.messages {
		if m.message.Role != RoleUser && m != f.mark {
			others++
		}
	}
	if others < 2 {
		return false
	}
	drop, dropping, at := others/2, true, -1
	kept := make([]*folding, 0, len(f.messages))
	for _, m := range f.messages {
		dropping = dropping && (drop > 0 || m.message.Role == RoleTool)
		if m.message.Role == RoleUser || m != f.mark && !dropping {
			kept = append(kept, m)
			continue
		}
		if at < 0 {
			at = len(kept)
		}
		if m != f.mark {
			drop--
			f.remove(m)
		}
	}
	if f.mark == nil {
		first := f.messages[at]
		f.mark = &folding{run: first.run, message: Message{ID: first.message.ID, Role: RoleAssistant}}
	}
	f.mark.content = beginning{}
	fmt.Fprintf(&f.mark.content.text, "… (%d messages more)", f.gone)
	f.messages = slices.Insert(kept, at, f.mark)
	return true
}

// remove takes a message out of the indexes and the byte count.
func (f *Folder) remove(m *folding) {
	f.gone++
	f.held -= frame + m.content.text.Len()
	maps.DeleteFunc(f.byID, func(_ string, other *folding) bool { return other == m })
	for _, c := range m.calls {
		f.held -= frame + c.arguments.text.Len()
		if f.calls[c.id] == c {
			delete(f.calls, c.id)
		}
	}
}

// Clone returns an independent copy.
func (f *Folder) Clone() *Folder {
	c := *f
	c.messages, c.byID, c.calls = make([]*folding, len(f.messages)), map[string]*folding{}, map[string]*foldingCall{}
	twin := map[*folding]*folding{}
	for i, m := range f.messages {
		n := &folding{message: m.message, run: m.run}
		n.content.from(&m.content)
		for _, call := range m.calls {
			k := &foldingCall{id: call.id, name: call.name}
			k.arguments.from(&call.arguments)
			n.calls = append(n.calls, k)
			if f.calls[call.id] == call {
				c.calls[call.id] = k
			}
		}
		c.messages[i], twin[m] = n, n
	}
	for id, m := range f.byID {
		c.byID[id] = twin[m]
	}
	c.mark = twin[f.mark]
	return &c
}

func (b *beginning) from(other *beginning) {
	b.more = other.more
	b.text.WriteString(other.text.String())
}

// Truncated returns a copy of the messages so far, oldest first, with at most most bytes of each text. 0 means no
// further cut. A mark after each text states how much is missing. Arguments that are cut are replaced as a whole,
// because they must stay valid JSON.
func (f *Folder) Truncated(most int) []Message {
	messages := make([]Message, len(f.messages))
	for i, m := range f.messages {
		out := m.message
		out.Metadata = bytes.Clone(m.message.Metadata)
		text, more := m.content.shortened(most)
		if out.Content = text; more > 0 {
			out.Content = fmt.Sprintf("%s … (%d bytes more)", text, more)
		}
		for _, c := range m.calls {
			text, more := c.arguments.shortened(most)
			if more > 0 {
				text = fmt.Sprintf(`{"cut":"%d bytes"}`, len(text)+more)
			}
			out.ToolCalls = append(out.ToolCalls, ToolCall{ID: c.id, Type: "function",
				Function: FunctionCall{Name: c.name, Arguments: text}})
		}
		messages[i] = out
	}
	return messages
}

func (b *beginning) shortened(most int) (text string, more int) {
	whole := b.text.String()
	if text = whole; most > 0 {
		text = chars.Head(whole, most)
	}
	return text, b.more + len(whole) - len(text)
}
