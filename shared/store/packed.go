package store

import (
	"bytes"
	"compress/lzw"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"

	"carrel/shared/agui"
	"carrel/shared/chat"
)

// A packed transcript begins with a byte that names its format. The fields follow: in formatPlain as they are, in
// formatLZW compressed and after their length. A field is a varint, or a text after its length. To unpack a transcript
// takes a third of the time that JSON takes, and a run reads up to 200 of them for its model. LZW is in the standard
// library and needs little memory: the encoder of compress/flate allocates 800 KB for a transcript of 2 KB.
const (
	formatPlain byte = 1
	formatLZW   byte = 2
)

const (
	// minCompressed is the length in bytes from which fields are compressed: a smaller item fills one write unit anyway.
	minCompressed = 512
	// maxUnpacked is the maximum length in bytes of the fields of one transcript. Its messages have at most
	// maxTranscript bytes as JSON text and fewer here, and its header comes from one event, of at most 256 KB.
	maxUnpacked = maxTranscript + 256<<10
)

// packed is the part of a transcript whose size depends on the conversation.
type packed struct {
	header   agui.Header // its Model follows from its Usage
	messages []agui.Message
	size     int // of the messages as JSON text
}

// pack encodes a transcript of a run for an item. unpack decodes it.
func (p packed) pack(run chat.RunID) ([]byte, error) {
	fields := p.fields(run)
	if len(fields) > maxUnpacked {
		return nil, fmt.Errorf("pack a transcript: it has %d bytes, and %d is the maximum", len(fields), maxUnpacked)
	}
	if len(fields) >= minCompressed {
		var b bytes.Buffer
		b.Write(binary.AppendVarint([]byte{formatLZW}, int64(len(fields))))
		w := lzw.NewWriter(&b, lzw.LSB, 8)
		_, err := w.Write(fields)
		if err = errors.Join(err, w.Close()); err != nil {
			return nil, fmt.Errorf("compress a transcript: %w", err)
		}
		if b.Len() < len(fields) {
			return b.Bytes(), nil
		}
	}
	return append([]byte{formatPlain}, fields...), nil
}

// fields encodes the transcript field by field, in the order in which unpack reads them.
func (p packed) fields(run chat.RunID) []byte {
	b := binary.AppendVarint(make([]byte, 0, p.size+256), p.header.At) // mostly enough: JSON is longer
	b = appendText(b, p.header.Agent)
	b = binary.AppendVarint(b, int64(len(p.header.Usage)))
	for _, u := range p.header.Usage {
		b = appendText(b, u.Provider, u.Model)
		for _, n := range counts(&u) {
			b = binary.AppendVarint(b, int64(*n))
		}
	}
	b = binary.AppendVarint(b, int64(p.size))
	b = binary.AppendVarint(b, int64(len(p.messages)))
	for _, m := range p.messages {
		b = appendText(b, shortID(m.ID, run), string(m.Role), m.Content, m.ToolCallID, m.SubagentRunID,
			string(m.Metadata))
		b = binary.AppendVarint(b, int64(len(m.ToolCalls)))
		for _, c := range m.ToolCalls {
			b = appendText(b, c.ID, c.Type, c.Function.Name, c.Function.Arguments)
		}
	}
	return b
}

func appendText(b []byte, texts ...string) []byte {
	for _, s := range texts {
		b = append(binary.AppendVarint(b, int64(len(s))), s...)
	}
	return b
}

// counts returns the numbers of a Usage in the order in which they are stored.
func counts(u *agui.Usage) []*int {
	return []*int{&u.InputTokens, &u.OutputTokens, &u.ReasoningTokens, &u.CachedInputTokens, &u.CacheWriteInputTokens}
}

// unpacking decodes packed transcripts, one after the other. They share a decompressor, which takes 20 KB.
type unpacking struct{ lzw lzw.Reader }

// unpack decodes a transcript of a run. Bytes that pack did not write are an error. So are more than maxUnpacked bytes
// of fields: however an item came to be, reading it takes little memory.
func (u *unpacking) unpack(data []byte, run chat.RunID) (packed, error) {
	if len(data) == 0 {
		return packed{}, errors.New("it is empty")
	}
	fields, err := u.decompress(data[0], data[1:])
	if err != nil {
		return packed{}, err
	}
	f := &fieldReader{rest: fields}
	p := packed{header: agui.Header{At: f.number(), Agent: f.text()}}
	var usage []agui.Usage
	for range f.list() {
		usage = append(usage, f.usage())
	}
	p.header.SetUsage(usage)
	p.size = int(f.number())
	p.messages = []agui.Message{}
	for range f.list() {
		p.messages = append(p.messages, f.message(run))
	}
	if f.rest != "" {
		f.wrong("%d bytes follow its last message", len(f.rest))
	}
	if f.err != nil {
		return packed{}, f.err
	}
	return p, nil
}

// decompress returns the fields that follow the format byte.
func (u *unpacking) decompress(format byte, data []byte) (string, error) {
	switch format {
	case formatPlain:
		if len(data) > maxUnpacked {
			return "", fmt.Errorf("it has %d bytes, more than %d", len(data), maxUnpacked)
		}
		return string(data), nil
	case formatLZW:
		length, n := binary.Varint(data)
		if n <= 0 || length < 0 || length > maxUnpacked {
			return "", fmt.Errorf("its length is %d bytes, not one from 0 to %d", length, maxUnpacked)
		}
		u.lzw.Reset(bytes.NewReader(data[n:]), lzw.LSB, 8)
		fields := make([]byte, length)
		if _, err := io.ReadFull(&u.lzw, fields); err != nil {
			return "", fmt.Errorf("decompress its %d bytes: %w", length, err)
		}
		if n, _ := u.lzw.Read(make([]byte, 1)); n > 0 {
			return "", fmt.Errorf("it has more than the %d bytes that it announces", length)
		}
		return string(fields), nil
	}
	return "", fmt.Errorf("its format is %d, which this release does not know: a newer one wrote it", format)
}

// fieldReader reads the fields of a transcript. After the first error, which it keeps, all fields are empty. The texts
// share the memory of the transcript, so an unused field costs no copy.
type fieldReader struct {
	rest string
	err  error
}

func (f *fieldReader) wrong(format string, args ...any) {
	if f.err == nil {
		f.rest, f.err = "", fmt.Errorf(format, args...)
	}
}

func (f *fieldReader) number() int64 {
	n, size := binary.Varint([]byte(f.rest[:min(len(f.rest), binary.MaxVarintLen64)]))
	if size <= 0 {
		f.wrong("a number is cut off")
		return 0
	}
	f.rest = f.rest[size:]
	return n
}

// list reads a number of elements and iterates that often, up to the first error: a wrong number adds no elements.
func (f *fieldReader) list() iter.Seq[int] {
	n := f.count()
	return func(yield func(int) bool) {
		for i := 0; i < n && f.err == nil && yield(i); i++ {
		}
	}
}

// count reads the number of elements or bytes that follow. Each takes a byte at least.
func (f *fieldReader) count() int {
	n := f.number()
	if n < 0 || n > int64(len(f.rest)) {
		f.wrong("%d elements do not fit in the %d bytes that follow", n, len(f.rest))
		return 0
	}
	return int(n)
}

func (f *fieldReader) text() string {
	n := f.count()
	s := f.rest[:n]
	f.rest = f.rest[n:]
	return s
}

func (f *fieldReader) usage() (u agui.Usage) {
	u.Provider, u.Model = f.text(), f.text()
	for _, n := range counts(&u) {
		*n = int(f.number())
	}
	return u
}

func (f *fieldReader) message(run chat.RunID) agui.Message {
	m := agui.Message{ID: longID(f.text(), run), Role: agui.Role(f.text()), Content: f.text(), ToolCallID: f.text(),
		SubagentRunID: f.text()}
	if metadata := f.text(); metadata != "" {
		m.Metadata = []byte(metadata)
	}
	for range f.list() {
		m.ToolCalls = append(m.ToolCalls, agui.ToolCall{ID: f.text(), Type: f.text(),
			Function: agui.FunctionCall{Name: f.text(), Arguments: f.text()}})
	}
	return m
}
