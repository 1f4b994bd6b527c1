// Package sse reads server-sent events as the WHATWG specification defines them, from a stream that may be split
// anywhere.
package sse

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
)

// maxLine bounds one line in bytes. Providers send whole images or long encrypted reasoning in one line.
const maxLine = 8 << 20

// ErrTooLong is the error of a stream with a line or an event over 8 MB.
var ErrTooLong = errors.New("an event of the stream is longer than 8 MB")

// Event is one event. An event without data is a comment, which servers send to show that they work.
type Event struct {
	Name string // "" if the stream does not name it
	Data string
}

// Read yields the events of r in order, and a comment as an empty Event. An error of r ends the sequence. The end of r
// ends it without an error: the caller knows from the events whether the stream is complete. The last event may lack
// its empty line, but an unfinished last line is dropped.
func Read(r io.Reader) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		lines := bufio.NewReaderSize(r, 16<<10)
		var e event
		for {
			line, err := readLine(lines)
			if err != nil {
				if last, ok := e.take(); ok && !yield(last, nil) {
					return
				}
				if !errors.Is(err, io.EOF) {
					yield(Event{}, fmt.Errorf("read the stream: %w", err))
				}
				return
			}
			out, ok, err := e.add(line)
			if err != nil {
				yield(Event{}, err)
				return
			}
			if ok && !yield(out, nil) {
				return
			}
		}
	}
}

// event collects the lines of one event.
type event struct {
	name string
	data strings.Builder
	some bool // a data line was read
}

// add adds a line. It returns an event if the line ends one, or if it is a comment.
func (e *event) add(line string) (out Event, ok bool, err error) {
	if line == "" {
		out, ok = e.take()
		return out, ok, nil
	}
	field, value, _ := strings.Cut(line, ":")
	value = strings.TrimPrefix(value, " ")
	switch field {
	case "":
		return Event{}, true, nil
	case "event":
		e.name = value
	case "data":
		if e.some {
			e.data.WriteByte('\n')
		}
		e.some = true
		if e.data.Len()+len(value) > maxLine {
			return Event{}, false, ErrTooLong
		}
		e.data.WriteString(value)
	}
	return Event{}, false, nil
}

// take returns the collected event and begins the next one.
func (e *event) take() (Event, bool) {
	out, ok := Event{Name: e.name, Data: e.data.String()}, e.some
	*e = event{}
	return out, ok
}

// readLine reads a line without its end, which is LF or CRLF. At the end of the stream an unfinished line is dropped.
func readLine(r *bufio.Reader) (string, error) {
	var long []byte
	for {
		piece, err := r.ReadSlice('\n')
		if err == nil && long == nil {
			return trimEnd(string(piece)), nil
		}
		if len(long)+len(piece) > maxLine {
			return "", ErrTooLong
		}
		long = append(long, piece...)
		if err == nil {
			return trimEnd(string(long)), nil
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return "", err
		}
	}
}

func trimEnd(line string) string { return strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r") }
