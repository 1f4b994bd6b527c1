package scripted

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode"

	"carrel/shared/chars"
	"carrel/shared/engine"
)

// calculator is the name of the calculator's tool.
const calculator = "calculator"

const help = "I am Carrel's built-in demonstration: I follow rules and no language model is behind me. " +
	"Ask me to calculate something, for example: what is 12*(3+4)? Ask what time it is in Europe/Berlin. " +
	"Say “note: buy milk”, “my notes”, “find notes milk”, “delete note 1” or “delete all notes”. " +
	"Say “ask me something” to be asked, or “think about the weather”. " +
	"I can also be told what to do, one line each: /say text, /think text, /stream 200 50 (deltas, and how many a " +
	"second), " +
	`/wait 1000, /call calculator {"expression":"2+2"}, /fail model.`

// assist answers a message that is not a script.
func assist(question string, turns []turn, r engine.Request) []step {
	if len(turns) > 0 {
		return []step{{verb: say, text: report(turns[len(turns)-1])}}
	}
	if strings.EqualFold(strings.Trim(question, " \t\r\n?!."), "help") {
		return []step{{verb: say, text: help}}
	}
	if thoughts, ok := strings.CutPrefix(strings.TrimSpace(question), "think about "); ok {
		return []step{{verb: think, text: thoughts}, {verb: say, text: "I have thought about " + thoughts}}
	}
	if name, arguments := requestedTool(question); name != "" {
		return callOffered(name, arguments, r)
	}
	expression := arithmetic(question)
	if expression == "" {
		return []step{{verb: say, text: disclaimer(question)}}
	}
	if !offered(r, calculator) {
		return []step{{verb: say, text: fmt.Sprintf(
			"I would have %s calculated, but you are not permitted to use the calculator here.", expression)}}
	}
	args, err := json.Marshal(map[string]string{"expression": expression})
	if err != nil {
		return []step{{verb: fail, text: "model"}}
	}
	return []step{
		{verb: say, text: fmt.Sprintf("Let me calculate %s for you.", expression)},
		{verb: call, tool: calculator, args: string(args)},
	}
}

// callOffered calls a tool, or says that the user may not use it if the request does not offer it.
func callOffered(name string, arguments map[string]any, r engine.Request) []step {
	if !offered(r, name) {
		return []step{{verb: say, text: fmt.Sprintf(
			"I would use the tool %s for that, but you are not permitted to use it here.", name)}}
	}
	args, err := json.Marshal(arguments)
	if err != nil {
		return []step{{verb: fail, text: "model"}}
	}
	return []step{{verb: call, tool: name, args: string(args)}}
}

// offered reports whether the request offers the tool to the model.
func offered(r engine.Request, name string) bool {
	for _, spec := range r.Tools {
		if spec.Name == name {
			return true
		}
	}
	return false
}

// disclaimer answers a message that no rule matches: it repeats the message and says that no language model answers.
func disclaimer(question string) string {
	gist := strings.Join(strings.Fields(question), " ")
	if head := chars.HeadPoints(gist, 80); head != gist {
		gist = head + "…"
	}
	return fmt.Sprintf("You wrote: “%s”. Thank you. I have to be honest with you: I am Carrel's built-in "+
		"demonstration, "+
		"which follows a few rules, and no language model is behind me, so I cannot say anything sensible about this. "+
		"What I can do is have arithmetic calculated, for example: what is 12*(3+4)? "+
		"Write help to see what else there is.", gist)
}

// calculated reports the calculator's result: an equation, or why there is none.
func calculated(expression, result string) string {
	switch {
	case strings.HasPrefix(result, "≈"):
		return expression + " " + result
	case result != "" && strings.Trim(result, "-.0123456789") == "":
		return expression + " = " + result
	}
	return fmt.Sprintf("I could not calculate %s: %s", expression, result)
}

// maxPiece is the longest piece in characters. The calculator accepts no longer ones.
const maxPiece = 500

// arithmetic returns the longest piece of a message that looks like arithmetic, or "".
func arithmetic(message string) string {
	text := []rune(message)
	best := ""
	for at := 0; at < len(text); {
		end := at
		for end < len(text) && belongs(text, end) {
			end++
		}
		if end == at {
			at++
			continue
		}
		apart := !touches(text, at-1, at) && !touches(text, end, end-1) // 2x and H2+O2 are not arithmetic
		if apart && end-at <= maxPiece {
			if piece := trim(string(text[at:end])); calculable(piece) && len(piece) > len(best) {
				best = piece
			}
		}
		at = end
	}
	return best
}

// belongs reports whether the character can be part of arithmetic. trim removes a point, comma or % at the end of a
// sentence. Notations that the calculator does not know, such as 1,000, are passed on, because its error explains them
// best.
func belongs(text []rune, at int) bool {
	c := text[at]
	if c == ',' {
		return at+1 < len(text) && isDigit(text[at+1])
	}
	return isDigit(c) || strings.ContainsRune(" .+-*/^()%×÷−", c)
}

// touches reports whether a letter is directly beside the end of a piece.
func touches(text []rune, outside, inside int) bool {
	return outside >= 0 && outside < len(text) && unicode.IsLetter(text[outside]) && text[inside] != ' '
}

// trim cuts off characters of the sentence: blanks, points, operators and parentheses without a partner.
func trim(piece string) string {
	for {
		before := piece
		piece = strings.TrimRight(strings.TrimLeft(piece, " +*/^%.,)×÷"), " .,+-*/^(×÷−")
		opened, closed := strings.Count(piece, "("), strings.Count(piece, ")")
		if closed > opened {
			piece = strings.TrimSuffix(piece, ")")
		} else if opened > closed {
			piece = strings.TrimPrefix(piece, "(")
		}
		if piece == before {
			return piece
		}
	}
}

// calculable reports whether the piece has an operator between two operands.
func calculable(piece string) bool {
	text := []rune(strings.ReplaceAll(piece, " ", ""))
	for i := 1; i+1 < len(text); i++ {
		left, right := text[i-1], text[i+1]
		if strings.ContainsRune("+-*/^×÷−", text[i]) && (isDigit(left) || left == ')' || left == '%') &&
			(isDigit(right) || strings.ContainsRune("(.-−", right)) {
			return true
		}
	}
	return false
}

func isDigit(c rune) bool { return '0' <= c && c <= '9' }
