package access

import (
	"encoding/json"
	"errors"
	"unicode/utf8"
)

// A request is checked once for being JSON. After that its parts are found by their delimiters alone: to decode each
// part with encoding/json would check it again at every level.

// value is a valid JSON value without space around it. An absent value is nil.
type value []byte

var (
	errNotJSON   = errors.New("it is not JSON")
	errNotText   = errors.New("a member is not text")
	errNotObject = errors.New("a member is not an object")
	errNotList   = errors.New("a member is not a list")
)

// parse returns a text as a value.
func parse(text []byte) (value, error) {
	if !json.Valid(text) {
		return nil, errNotJSON
	}
	begin := skipSpace(text, 0)
	return text[begin:valueEnd(text, begin)], nil
}

// object returns the members of an object. Of two members with the same name the last one counts, as for the engine.
// An absent value and null have none.
func (v value) object() (object, error) {
	o := make(object, 8)
	return o, v.members(func(name string, member value) { o[name] = member })
}

// members calls each with the members of an object, in their order.
func (v value) members(each func(name string, member value)) error {
	if v.absent() {
		return nil
	}
	if v[0] != '{' {
		return errNotObject
	}
	for i := skipSpace(v, 1); v[i] != '}'; {
		end := valueEnd(v, i)
		name, err := v[i:end].text()
		if err != nil {
			return err
		}
		begin := skipSpace(v, skipSpace(v, end)+1) // behind the colon
		end = valueEnd(v, begin)
		each(name, v[begin:end])
		i = nextMember(v, end)
	}
	return nil
}

// list returns the elements of a list. An absent value and null have none.
func (v value) list() ([]value, error) {
	if v.absent() {
		return nil, nil
	}
	if v[0] != '[' {
		return nil, errNotList
	}
	var all []value
	for i := skipSpace(v, 1); v[i] != ']'; {
		end := valueEnd(v, i)
		all = append(all, v[i:end])
		i = nextMember(v, end)
	}
	return all, nil
}

// text returns the text of a string. It is "" for an absent value and null.
func (v value) text() (string, error) {
	if v.absent() {
		return "", nil
	}
	if v[0] != '"' {
		return "", errNotText
	}
	for _, c := range v {
		if c == '\\' || c >= utf8.RuneSelf {
			var decoded string
			err := json.Unmarshal(v, &decoded) // knows escapes, and replaces invalid UTF-8
			return decoded, err
		}
	}
	return string(v[1 : len(v)-1]), nil
}

func (v value) absent() bool { return len(v) == 0 || v[0] == 'n' }

// skipSpace returns the index of the first byte from i on that is not a space.
func skipSpace(text []byte, i int) int {
	for text[i] == ' ' || text[i] == '\t' || text[i] == '\n' || text[i] == '\r' {
		i++
	}
	return i
}

// nextMember returns the index of the next member or element, or of the closing bracket. A value ends at i.
func nextMember(text []byte, i int) int {
	if i = skipSpace(text, i); text[i] == ',' {
		i = skipSpace(text, i+1)
	}
	return i
}

// valueEnd returns the index behind the value that begins at i.
func valueEnd(text []byte, i int) int {
	depth := 0
	for i < len(text) {
		switch c := text[i]; {
		case c == '"':
			i = stringEnd(text, i)
			if depth == 0 {
				return i
			}
			continue
		case c == '{' || c == '[':
			depth++
		case depth > 0 && (c == '}' || c == ']'):
			if depth--; depth == 0 {
				return i + 1
			}
		case depth == 0 && (c == ',' || c == '}' || c == ']' || c <= ' '):
			return i // behind a number, true, false or null
		}
		i++
	}
	return i
}

// stringEnd returns the index behind the string that begins at i.
func stringEnd(text []byte, i int) int {
	for i++; text[i] != '"'; i++ {
		if text[i] == '\\' {
			i++
		}
	}
	return i + 1
}
