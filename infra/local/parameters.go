package main

import (
	"fmt"
	"strings"
)

// parameters reads the template's parameters as make deploy takes them: Name=value, separated by spaces; a value with
// spaces stands in quotes.
func parameters(text string) (map[string]string, error) {
	values := map[string]string{}
	for _, word := range words(text) {
		name, value, ok := strings.Cut(word, "=")
		if _, twice := values[name]; !ok || name == "" || twice {
			return nil, fmt.Errorf(`PARAMETERS must be Name=value Other="two words", each name once, not %q`, text)
		}
		values[name] = value
	}
	return values, nil
}

// words splits at spaces outside of quotes, and takes the quotes away.
func words(text string) []string {
	var all []string
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
		all = append(all, string(quote)+word.String()) // no name: it is refused
	}
	return all
}
