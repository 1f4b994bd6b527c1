package audit_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"carrel/shared/chat"
)

// hostile are values, as JSON, in the place of an id: with separators and wildcards, that look like parts of keys, names
// that prototypes have, control characters, letters that look like others, long ones, and what is no text at all.
func hostile(v *victim) []string {
	texts := []string{
		"", " ", "#", "a#b", "~", "!", "*", "?", "%", "%25", "$", "${user}", "{{user}}", ".", "..", "../" + v.name, "/", "\\", "'", "\"", "`", ";--", "|",
		"U#" + v.name, v.name, v.name + "#", v.name + "=23", "U=23" + v.name, v.name + "#T#" + v.running.thread, "U#" + v.name + "#T#" + v.running.thread + "#" + v.running.epoch,
		v.name + ":" + v.running.run, v.name + "." + v.running.thread, "RUN#" + v.running.run, "THREAD#" + v.past.thread, "CONN#" + v.ids["connection"][0], "QUEUE", "OWNER", "L#00",
		v.past.thread + "#" + v.past.epoch, v.past.thread + "*", v.past.thread[:8], v.past.thread + "~", v.past.thread + " ", strings.ToUpper(v.past.thread),
		"__proto__", "constructor", "prototype", "toString", "hasOwnProperty", "null", "undefined", "NaN", "true", "0", "-1",
		"\x00", "a\x00b", "\n", "a\r\nb", "\x1b[2J", "\u202e", "\u200b" + v.past.thread, "\u00e9", "e\u0301", "\uff56ictim", "vict\u0131m", "\U0001f600",
		strings.Repeat("x", 128), strings.Repeat("x", 129), strings.Repeat("x", 20_000), strings.Repeat("\u00e9", 64),
	}
	all := []string{`null`, `0`, `1e400`, `true`, `{}`, `[]`, `{"$ne":""}`, `{"S":"x"}`, `[` + quoted(v.past.thread) + `]`, `"\ud800"`, `"\u0000"`, `"\u002e"`}
	for _, text := range texts {
		all = append(all, quoted(text))
	}
	return all
}

// Hostile ids in every place where an id may stand: what is no id is refused by name, what is one is nobody's.
func TestTheAttackerSendsHostileIDs(t *testing.T) {
	t.Attr("row", "C5: ids with separators and wildcards")
	s := besiege(t)
	var all []*party
	for range 4 {
		all = append(all, s.attacker("mallory-hostile"))
	}
	own := s.own(all[0])
	types, frames := armed(t, own)
	values, every := hostile(s.victim), max(1, 3/size(1)) // each value in each third place, or in all of them
	besides(all, func(p *party) {
		for i, kind := range types {
			if i%len(all) != slices.Index(all, p) || final(kind) {
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
					s.refusesBadID(p, with(t, frames[kind], map[string]string{l.path: value}), l.path, value)
				}
			}
		}
	})
	s.judge()
}

// isID tells whether a text of a frame is an id.
func isID(l leaf) bool {
	return !slices.Contains([]string{"title", "whenBusy"}, l.path) && !strings.HasSuffix(l.path, ".role") && !strings.HasSuffix(l.path, ".content") &&
		!strings.HasSuffix(l.path, ".status")
}

func (s *siege) refusesBadID(p *party, frame []byte, path, value string) {
	s.Helper()
	a := s.ask(p, frame)
	var id string
	if json.Unmarshal([]byte(value), &id) == nil && value != "null" && chat.CheckID(id) == nil {
		return
	}
	if a.Type != "error" || a.Code != "bad_frame" && a.Code != "too_large" || a.Field != path {
		s.Errorf("%.80s at %s is answered with %.300s", value, path, a.raw)
	}
}

// Fields that are none of a frame's, which name the victim; keys that come twice, first or last the victim's; keys in
// other cases: all of them are refused, in every frame and wherever objects stand in one.
func TestTheAttackerAddsFields(t *testing.T) {
	t.Attr("row", "C5: fields that no frame has")
	s := besiege(t)
	var all []*party
	for range 3 {
		all = append(all, s.attacker("mallory-adds"))
	}
	own := s.own(all[0])
	types, frames := armed(t, own)
	names := []string{"user", "userId", "user_id", "tenant", "tenantId", "connectionId", "sub", "grants", "principalId", "authorizer", "requestContext",
		"owner", "pk", "sk", "isAdmin", "__proto__", "constructor"}
	besides(all, func(p *party) {
		for i, kind := range types {
			if i%len(all) != slices.Index(all, p) {
				continue
			}
			var tries [][]byte
			for _, name := range names {
				tries = append(tries, withExtra(t, frames[kind], name, quoted(s.victim.name)), withExtra(t, frames[kind], name, `{"sub":`+quoted(s.victim.name)+`}`))
				for _, in := range []string{`"cursor":{`, `"messages":[{`, `"resume":[{`} {
					if strings.Contains(string(frames[kind]), in) {
						tries = append(tries, []byte(strings.Replace(string(frames[kind]), in, in+quoted(name)+`:`+quoted(s.victim.name)+`,`, 1)))
					}
				}
			}
			for _, f := range append(tries, twice(t, frames[kind], s.victim)...) {
				if a := s.ask(p, f); a.Type != "error" || a.Code != "bad_frame" || a.Field == "" {
					t.Errorf("%s is answered with %s", f, a.raw)
				}
			}
		}
	})
	s.judge()
}

// withExtra is a frame with a field more.
func withExtra(t *testing.T, frame []byte, name, value string) []byte {
	t.Helper()
	return fmt.Appendf(nil, `%s,%s:%s}`, frame[:len(frame)-1], quoted(name), value)
}

// twice are a frame's texts a second time, before and behind, under the same key and under ones of other case.
func twice(t *testing.T, frame []byte, v *victim) (all [][]byte) {
	t.Helper()
	for _, l := range leaves(t, frame) {
		if len(l.at) > 1 {
			continue
		}
		name := l.at[0].(string)
		for _, key := range []string{name, strings.ToUpper(name), strings.ToUpper(name[:1]) + name[1:], strings.ToLower(name) + "\u0000"} {
			field := quoted(key) + `:` + quoted(v.past.thread)
			all = append(all, fmt.Appendf(nil, `%s,%s}`, frame[:len(frame)-1], field), fmt.Appendf(nil, `{%s,%s`, field, frame[1:]))
		}
	}
	return append(all, fmt.Appendf(nil, `%s,"type":"history"}`, frame[:len(frame)-1]))
}
