// Package parameters reads PARAMETERS, the template's parameters as make run and make deploy take them.
package parameters

import (
	"fmt"
	"strings"
)

// Parse reads Name=value pairs that are separated by spaces. A value with spaces stands in quotes.
func Parse(text string) (map[string]string, error) {
	values := map[string]string{}
	all, closed := words(text)
	for _, word := range all {
		name, value, ok := strings.Cut(word, "=")
		if _, twice := values[name]; !ok || name == "" || twice || !closed {
			return nil, fmt.Errorf(`PARAMETERS must be Name=value Other="two words", each name once, not %q`, text)
		}
		values[name] = value
	}
	return values, nil
}

// words splits at spaces outside of quotes, and takes the quotes away. closed says whether all of them come in pairs.
func words(text string) (all []string, closed bool) {
	var word strings.Builder
	var quote rune
	inside := false
	for _, c := range text + " " {
		switch {
		case quote == 0 && (c == '"' || c == '\''):
			quote, inside = c, true
		case quote != 0 && c == quote:
			quote = 0
		case quote == 0 && (c == ' ' || c == '\t' || c == '\n'):
			if inside {
				all = append(all, word.String())
			}
			word.Reset()
			inside = false
		default:
			word.WriteRune(c)
			inside = true
		}
	}
	if quote != 0 {
		all = append(all, word.String())
	}
	return all, quote == 0
}
