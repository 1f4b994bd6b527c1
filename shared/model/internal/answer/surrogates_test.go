package answer_test

import (
	"encoding/json"
	"testing"

	"carrel/shared/model/internal/answer"
)

func TestSurrogates(t *testing.T) {
	for _, c := range []struct {
		name   string
		events []string
		want   string
	}{
		{"split between two texts", []string{`"a\ud83d"`, `"\ude42b"`}, "a🙂b"},
		{"an event between the halves", []string{`"a\uD83D"`, `""`, `"\uDE42"`}, "a🙂"},
		{"split twice", []string{`"\ud83d"`, `"\ude42\ud83d"`, `"\ude43"`}, "🙂🙃"},
		{"whole", []string{`"\ud83d\ude42"`}, "🙂"},
		{"an escaped backslash", []string{`"\\ud83d"`, `"x"`}, `\ud83dx`},
		{"an escaped backslash before a half", []string{`"\\\ud83d"`, `"\ude42"`}, `\🙂`},
		{"other characters", []string{`"\u00e9"`}, "é"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var s answer.Surrogates
			got := ""
			for _, e := range c.events {
				var text string
				if err := json.Unmarshal([]byte(s.Join(e)), &text); err != nil {
					t.Fatal(err)
				}
				got += text
			}
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
