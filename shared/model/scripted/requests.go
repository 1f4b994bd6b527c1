package scripted

import (
	"encoding/json"
	"regexp"
	"strings"
)

// requestedTool returns the tool that a message requests, other than the calculator, with the arguments. tool is "" if
// the message requests none.
func requestedTool(message string) (tool string, arguments map[string]any) {
	plain := strings.ToLower(strings.Trim(strings.Join(strings.Fields(message), " "), " .!?"))
	first, rest, _ := strings.Cut(strings.TrimSpace(message), ":")
	if strings.EqualFold(first, "note") && strings.TrimSpace(rest) != "" {
		return "notes_save", map[string]any{"text": strings.TrimSpace(rest)}
	}
	switch plain {
	case "ask me something", "ask me a question":
		return "ask", map[string]any{"question": "Which do you like best?",
			"choices": []string{"coffee", "tea", "neither"}}
	case "my notes", "notes", "list my notes", "show my notes", "what are my notes":
		return "notes_list", map[string]any{}
	case "delete all notes", "delete all my notes", "forget my notes", "forget all my notes", "clear my notes":
		return "notes_clear", map[string]any{}
	}
	if words, ok := strings.CutPrefix(plain, "find notes "); ok {
		return "notes_search", map[string]any{"words": strings.TrimPrefix(words, "about ")}
	}
	if number, ok := strings.CutPrefix(plain, "delete note "); ok && isNumber(number) {
		return "notes_delete", map[string]any{"number": json.Number(number)}
	}
	if strings.HasPrefix(plain, "what time is it") || strings.HasPrefix(plain, "what day is it") {
		if zone := regexp.MustCompile(`[A-Za-z_]+(/[A-Za-z0-9_+-]+)+|UTC`).FindString(message); zone != "" {
			return "clock", map[string]any{"zone": zone}
		}
		return "clock", map[string]any{}
	}
	return "", nil
}

// isNumber reports whether the text is a positive whole number in JSON.
func isNumber(text string) bool {
	return text != "" && len(text) < 10 && text[0] != '0' && strings.Trim(text, "0123456789") == ""
}
