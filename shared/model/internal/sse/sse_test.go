package sse_test

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"carrel/shared/model/internal/sse"
)

func read(t *testing.T, r io.Reader) (events []sse.Event, err error) {
	t.Helper()
	for e, failed := range sse.Read(r) {
		if failed != nil {
			return events, failed
		}
		events = append(events, e)
	}
	return events, nil
}

func TestRead(t *testing.T) {
	for _, c := range []struct {
		name, stream string
		want         []sse.Event
	}{
		{"two events", "data: a\n\nevent: x\ndata: b\n\n", []sse.Event{{Data: "a"}, {Name: "x", Data: "b"}}},
		{"carriage returns", "event: x\r\ndata: b\r\n\r\n", []sse.Event{{Name: "x", Data: "b"}}},
		{"data on two lines", "data: a\ndata: b\n\n", []sse.Event{{Data: "a\nb"}}},
		{"no space after the colon", "data:a\n\n", []sse.Event{{Data: "a"}}},
		{"a comment", ": ping\n\ndata: a\n\n", []sse.Event{{}, {Data: "a"}}},
		{"unknown fields", "id: 7\nretry: 9\nfoo\ndata: a\n\n", []sse.Event{{Data: "a"}}},
		{"no empty line at the end", "data: a\n\ndata: [DONE]\n", []sse.Event{{Data: "a"}, {Data: "[DONE]"}}},
		{"an unfinished last line", "data: a\n\ndata: {\"te", []sse.Event{{Data: "a"}}},
		{"characters of several bytes", "data: Zürich 🙂\n\n", []sse.Event{{Data: "Zürich 🙂"}}},
		{"nothing", "", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			for name, r := range map[string]io.Reader{"whole": strings.NewReader(c.stream),
				"byte by byte": iotest.OneByteReader(strings.NewReader(c.stream))} {
				if got, err := read(t, r); err != nil || !slices.Equal(got, c.want) {
					t.Errorf("%s: got %q and error %v, want %q", name, got, err, c.want)
				}
			}
		})
	}
}

func TestRead_LostConnection(t *testing.T) {
	lost := errors.New("connection reset")
	got, err := read(t, io.MultiReader(strings.NewReader("data: a\n\n"), iotest.ErrReader(lost)))
	if !slices.Equal(got, []sse.Event{{Data: "a"}}) || !errors.Is(err, lost) {
		t.Errorf("got %q and error %v, want the event before the loss and the loss", got, err)
	}
}

func TestRead_HugeLine(t *testing.T) {
	_, err := read(t, io.MultiReader(strings.NewReader("data: "), io.LimitReader(endless{}, 32<<20)))
	if !errors.Is(err, sse.ErrTooLong) {
		t.Errorf("error %v, want ErrTooLong", err)
	}
}

func TestRead_ManyLinesInOneEvent(t *testing.T) {
	line := "data: " + strings.Repeat("x", 1<<20) + "\n"
	if _, err := read(t, strings.NewReader(strings.Repeat(line, 12))); !errors.Is(err, sse.ErrTooLong) {
		t.Errorf("error %v, want ErrTooLong", err)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}
