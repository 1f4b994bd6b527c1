package attacks_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"carrel/infra/testkit"
	"carrel/shared/chat"
)

// hostileIDs returns values, as JSON, that are sent instead of an id: separators and wildcards, parts of keys, names of
// JavaScript prototypes, control characters, look-alike letters, long texts, and values of other types.
func hostileIDs(v *victim) []string {
	texts := []string{
		"", " ", "#", "a#b", "~", "!", "*", "?", "%", "%25", "$", "${user}", "{{user}}", ".", "..", "../" + v.name, "/",
		"\\", "'", "\"", "`", ";--", "|",
		"U#" + v.name, v.name, v.name + "#", v.name + "=23", "U=23" + v.name, v.name + "#T#" + v.running.thread, "U#" +
			v.name + "#T#" + v.running.thread + "#" + v.running.epoch,
		v.name + ":" + v.running.run, v.name + "." + v.running.thread, "RUN#" + v.running.run, "THREAD#" +
			v.history.thread, "CONN#" + v.ids["connection"][0], "QUEUE", "OWNER", "L#00",
		v.history.thread + "#" + v.history.epoch, v.history.thread + "*", v.history.thread[:8], v.history.thread + "~",
		v.history.thread + " ", strings.ToUpper(v.history.thread),
		"__proto__", "constructor", "prototype", "toString", "hasOwnProperty", "null", "undefined", "NaN", "true", "0",
		"-1",
		"\x00", "a\x00b", "\n", "a\r\nb", "\x1b[2J", "\u202e", "\u200b" + v.history.thread, "\u00e9", "e\u0301",
		"\uff56ictim", "vict\u0131m", "\U0001f600",
		strings.Repeat("x", 128), strings.Repeat("x", 129), strings.Repeat("x", 20_000), strings.Repeat("\u00e9", 64),
	}
	all := []string{`null`, `0`, `1e400`, `true`, `{}`, `[]`, `{"$ne":""}`, `{"S":"x"}`, `[` + quote(v.history.thread) +
		`]`, `"\ud800"`, `"\u0000"`, `"\u002e"`}
	for _, text := range texts {
		all = append(all, quote(text))
	}
	return all
}

// The attacker sends hostile values in every field that takes an id. An invalid id is refused with the name of the
// field, and a valid one names nothing.
func TestAttack_HostileIDs(t *testing.T) {
	t.Attr("row", "C5: ids with separators and wildcards")
	s := newAttack(t)
	var all []*testkit.Raw
	for range 4 {
		all = append(all, s.attacker("mallory-hostile"))
	}
	own := s.own(all[0])
	types, frames := encodedFrames(t, own)
	values, every := hostileIDs(s.victim), max(1, 3/scale(1)) // each value in each third place, or in all of them
	inParallel(all, func(p *testkit.Raw) {
		for i, kind := range types {
			if i%len(all) != slices.Index(all, p) || endsSession(kind) {
				continue
			}
			for j, l := range leaves(t, frames[kind]) {
				if !isID(l) {
					continue
				}
				for k, value := range values {
					if (i+j+k)%every > 0 {
						continue
					}
					s.checkBadID(p, with(t, frames[kind], map[string]string{l.path: value}), l.path, value)
				}
			}
		}
	})
	s.verify()
}

// isID reports whether a string of a frame is an id.
func isID(l leaf) bool {
	return !slices.Contains([]string{"title", "whenBusy"}, l.path) && !strings.HasSuffix(l.path, ".role") &&
		!strings.HasSuffix(l.path, ".content") &&
		!strings.HasSuffix(l.path, ".status")
}

// checkBadID sends a frame. An invalid id in it must be refused with the path of the field.
func (s *attack) checkBadID(p *testkit.Raw, frame []byte, path, value string) {
	s.Helper()
	a := s.request(p, frame)
	var id string
	if json.Unmarshal([]byte(value), &id) == nil && value != "null" && chat.CheckID(id) == nil {
		return
	}
	if a.Type != "error" || a.Code != "bad_frame" && a.Code != "too_large" || a.Field != path {
		s.Errorf("%.80s at %s is answered with %.300s", value, path, a.Raw)
	}
}

// The attacker adds fields that name the victim, keys that stand twice with the victim's value first or last, and keys
// in another case. All of them are refused, in every frame and in every nested object.
func TestAttack_ExtraFields(t *testing.T) {
	t.Attr("row", "C5: fields that no frame has")
	s := newAttack(t)
	var all []*testkit.Raw
	for range 3 {
		all = append(all, s.attacker("mallory-adds"))
	}
	own := s.own(all[0])
	types, frames := encodedFrames(t, own)
	names := []string{"user", "userId", "user_id", "tenant", "tenantId", "connectionId", "sub", "grants", "principalId",
		"authorizer", "requestContext",
		"owner", "pk", "sk", "isAdmin", "__proto__", "constructor"}
	inParallel(all, func(p *testkit.Raw) {
		for i, kind := range types {
			if i%len(all) != slices.Index(all, p) {
				continue
			}
			var tries [][]byte
			for _, name := range names {
				tries = append(tries, withField(t, frames[kind], name, quote(s.victim.name)),
					withField(t, frames[kind], name, `{"sub":`+quote(s.victim.name)+`}`))
				for _, in := range []string{`"cursor":{`, `"messages":[{`, `"resume":[{`} {
					if strings.Contains(string(frames[kind]), in) {
						tries = append(tries, []byte(strings.Replace(string(frames[kind]), in,
							in+quote(name)+`:`+quote(s.victim.name)+`,`, 1)))
					}
				}
			}
			for _, f := range append(tries, duplicateKeys(t, frames[kind], s.victim)...) {
				if a := s.request(p, f); a.Type != "error" || a.Code != "bad_frame" || a.Field == "" {
					t.Errorf("%s is answered with %s", f, a.Raw)
				}
			}
		}
	})
	s.verify()
}

// withField returns a frame with another field.
func withField(t *testing.T, frame []byte, name, value string) []byte {
	t.Helper()
	return fmt.Appendf(nil, `%s,%s:%s}`, frame[:len(frame)-1], quote(name), value)
}

// duplicateKeys returns a frame with each of its string fields a second time, at the begin and at the end, under the
// same key and under keys of another case.
func duplicateKeys(t *testing.T, frame []byte, v *victim) (all [][]byte) {
	t.Helper()
	for _, l := range leaves(t, frame) {
		if len(l.at) > 1 {
			continue
		}
		name := l.at[0].(string)
		for _, key := range []string{name, strings.ToUpper(name), strings.ToUpper(name[:1]) + name[1:],
			strings.ToLower(name) + "\u0000"} {
			field := quote(key) + `:` + quote(v.history.thread)
			all = append(all, fmt.Appendf(nil, `%s,%s}`, frame[:len(frame)-1], field),
				fmt.Appendf(nil, `{%s,%s`, field, frame[1:]))
		}
	}
	return append(all, fmt.Appendf(nil, `%s,"type":"history"}`, frame[:len(frame)-1]))
}
