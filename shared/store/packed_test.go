package store

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"carrel/shared/agui"
	"carrel/shared/chat"
)

// fill sets every field of a value below v, so that a field which is not stored shows.
func fill(v reflect.Value, name string) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(name)
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(len(name)))
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), name+"."+v.Type().Field(i).Name)
		}
	case reflect.Slice:
		if v.Type() == reflect.TypeFor[json.RawMessage]() {
			v.SetBytes(fmt.Appendf(nil, "{%q:1}", name))
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range 2 {
			fill(v.Index(i), fmt.Sprint(name, i))
		}
	default:
		panic(fmt.Sprintf("%s has the kind %v, which a packed transcript does not have yet", name, v.Kind()))
	}
}

// Every field of messages and headers is stored. If agui gets a new field, packed.fields and unpack must have it too.
func TestPack_EveryField(t *testing.T) {
	var p packed
	fill(reflect.ValueOf(&p.header).Elem(), "r1")
	fill(reflect.ValueOf(&p.messages).Elem(), "r1")
	p.header.SetUsage(p.header.Usage) // the model is the first one of the usage
	p.size = 1000
	for _, want := range []packed{p, {header: agui.Header{At: 1}, messages: []agui.Message{}}} {
		content, err := want.pack("r1")
		if err != nil {
			t.Fatal(err)
		}
		if got, err := new(unpacking).unpack(content, "r1"); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("a transcript is read as\n%+v, %v\nwant\n%+v", got, err, want)
		}
	}
}

func saying(text string) packed {
	return packed{messages: []agui.Message{{ID: "r1.1", Role: agui.RoleUser, Content: text}}, size: len(text)}
}

// A transcript is compressed if that makes it smaller, and one decompressor reads many transcripts.
func TestPack_Compression(t *testing.T) {
	source := rand.New(rand.NewPCG(1, 2))
	noise := make([]byte, 2000)
	for i := range noise {
		noise[i] = byte(source.Uint32())
	}
	var u unpacking
	for name, c := range map[string]struct {
		text    string
		format  byte
		longest int
	}{
		"a short text":                {"hello", formatPlain, 30},
		"a text that repeats":         {strings.Repeat("hello, world. ", 500), formatLZW, 700},
		"bytes without any order":     {string(noise), formatPlain, 2030},
		"the longest text, repeating": {strings.Repeat("x", maxTranscript-200), formatLZW, 5000},
	} {
		content, err := saying(c.text).pack("r1")
		if err != nil {
			t.Fatal(err)
		}
		got, err := u.unpack(content, "r1")
		if err != nil || !reflect.DeepEqual(got, packed{messages: saying(c.text).messages, size: len(c.text)}) {
			t.Errorf("%s is not read as it was written: %v", name, err)
		}
		if content[0] != c.format || len(content) > c.longest {
			t.Errorf("%s has the format %d and %d bytes, want %d and at most %d", name, content[0], len(content),
				c.format, c.longest)
		}
	}
}

// An item that no End wrote is an error. It takes little memory, whatever it announces.
func TestUnpack_Damaged(t *testing.T) {
	whole, err := saying(strings.Repeat("hello, world. ", 100)).pack("r1")
	if err != nil {
		t.Fatal(err)
	}
	short, err := saying("hello").pack("r1")
	if err != nil {
		t.Fatal(err)
	}
	// The compressed fields are longer than any transcript, and the announced length is right.
	bomb, err := saying(strings.Repeat("x", maxTranscript)).pack("r1")
	if err != nil {
		t.Fatal(err)
	}
	announced := func(length int64) []byte { // bomb[:4] are the format and the length
		return append(binary.AppendVarint([]byte{formatLZW}, length), bomb[4:]...)
	}
	for name, c := range map[string]struct {
		content []byte
		want    string
	}{
		"nothing":                  {nil, "it is empty"},
		"a newer format":           {[]byte{9, 1, 2}, "its format is 9, which this release does not know"},
		"the former JSON text":     {[]byte(`[{"id":"m"}]`), "its format is 91"},
		"cut off, compressed":      {whole[:len(whole)/2], "decompress"},
		"cut off, plain":           {short[:len(short)-1], "cut off"},
		"more behind the messages": {append(bytes.Clone(short), 0), "1 bytes follow its last message"},
		"too long":                 {announced(maxUnpacked + 1), "its length is"},
		"a negative length":        {announced(-1), "its length is -1"},
		"longer than it announces": {announced(100), "more than the 100 bytes"},
		"too many messages":        {[]byte{formatPlain, 0, 0, 0, 0, 126}, "63 elements do not fit in the 0 bytes"},
		"too long, plain":          {bytes.Repeat([]byte{formatPlain}, maxUnpacked+2), "more than"},
	} {
		if p, err := new(unpacking).unpack(c.content, "r1"); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: it is read as %d messages, error %v; want %q", name, len(p.messages), err, c.want)
		}
	}
}

// FuzzUnpack checks that no content causes a panic or takes more memory than a transcript may, and that a content which
// is read can be written and read again.
func FuzzUnpack(f *testing.F) {
	for _, p := range []packed{{}, saying("hello"), saying(strings.Repeat("hello, world. ", 100))} {
		content, err := p.pack("r1")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(content)
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		const run chat.RunID = "r1"
		p, err := new(unpacking).unpack(content, run)
		if err != nil {
			return
		}
		again, err := p.pack(run)
		if err != nil {
			t.Fatal(err)
		}
		if q, err := new(unpacking).unpack(again, run); err != nil || !reflect.DeepEqual(p, q) {
			t.Errorf("%x is read as %+v, and then as %+v, %v", content, p, q, err)
		}
	})
}
