package tool

import (
	"encoding/json"
	"fmt"
	"strings"

	"carrel/shared/agui"
)

// Output is what a call of a tool made by Raw returns. The model and the person read Text and then Parts. Structured is
// the same result as JSON. They read it only if there is neither text nor a part.
type Output struct {
	Text       string
	Parts      []agui.Part
	Structured json.RawMessage
}

// content returns the output as one text. A part that is not text becomes a note of its type and size.
func (o Output) content() string {
	var texts []string
	if o.Text != "" {
		texts = append(texts, o.Text)
	}
	for _, p := range o.Parts {
		if p.Type == agui.PartText {
			texts = append(texts, p.Text)
			continue
		}
		texts = append(texts, fmt.Sprintf("[%s, %s, not kept]", mediaType(p.MimeType), size(p.Bytes)))
	}
	if len(texts) == 0 {
		return string(o.Structured)
	}
	return strings.Join(texts, "\n")
}

// mediaType returns a media type if it is a short one in the common form, because a server may send anything.
func mediaType(s string) string {
	if s == "" || len(s) > 80 || strings.Count(s, "/") != 1 {
		return "a file"
	}
	for _, c := range []byte(s) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', strings.IndexByte("/.+-_", c) >= 0:
		default:
			return "a file"
		}
	}
	return s
}

// size returns a number of bytes with a unit.
func size(bytes int) string {
	switch {
	case bytes >= 1<<20:
		return fmt.Sprintf("%.1f MB", float64(bytes)/(1<<20))
	case bytes >= 1<<10:
		return fmt.Sprintf("%.1f KB", float64(bytes)/(1<<10))
	}
	return fmt.Sprintf("%d bytes", bytes)
}
