package visible

import (
	"io"
	"unicode/utf8"
)

// Writer writes text to another writer, such as a terminal, as Text renders it. The size of the pieces does not matter.
// A Writer is for one goroutine.
type Writer struct {
	out     io.Writer
	tracker tracker
	held    []byte // the end of the text so far, if its rendering depends on the next piece
}

// NewWriter makes a Writer that hands on to out.
func NewWriter(out io.Writer) *Writer { return &Writer{out: out} }

// Write takes the next piece of the text.
func (w *Writer) Write(p []byte) (int, error) {
	if err := w.hand(append(w.held, p...), false); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Flush ends the text and writes the part that was held back.
func (w *Writer) Flush() error { return w.hand(w.held, true) }

// Raw writes a text as it is, such as a color of the program's own.
func (w *Writer) Raw(s string) error {
	if err := w.Flush(); err != nil {
		return err
	}
	_, err := io.WriteString(w.out, s)
	return err
}

// hand writes as much of a text as can be decided; all of it if it is the last.
func (w *Writer) hand(text []byte, last bool) error {
	var shown []byte
	for len(text) > 0 && (last || utf8.FullRune(text)) {
		c, width := utf8.DecodeRune(text)
		rest := text[width:]
		if contextual(c) && !last && !utf8.FullRune(rest) {
			break
		}
		next := rune(0)
		if len(rest) > 0 {
			next, _ = utf8.DecodeRune(rest)
		}
		if w.tracker.hides(c, next) {
			shown = append(shown, spell(c)...)
		} else {
			shown = utf8.AppendRune(shown, c)
		}
		text = rest
	}
	w.held = append([]byte(nil), text...)
	if len(shown) == 0 {
		return nil
	}
	_, err := w.out.Write(shown)
	return err
}
