package scripted

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode"

	"carrel/shared/chars"
	"carrel/shared/engine"
)

// calculator is the tool that the assistant knows best.
const calculator = "calculator"

const help = "I am Carrel's built-in demonstration: I follow rules and no language model is behind me. " +
	"Ask me to calculate something, for example: what is 12*(3+4)? Ask what time it is in Europe/Berlin. " +
	"Say “note: buy milk”, “my notes”, “find notes milk”, “delete note 1” or “delete all notes”. Say “ask me something” to be asked. " +
	"I can also be told what to do, one line each: /say text, /think text, /stream 200 50 (deltas, and how many a second), " +
	`/wait 1000, /call calculator {"expression":"2+2"}, /fail model.`

// assist answers a message that is no script.
func assist(question string, turns []turn, r engine.Request) []step {
	if len(turns) > 0 {
		return []step{{verb: say, text: report(turns[len(turns)-1])}}
	}
	if strings.EqualFold(strings.Trim(question, " \t\r\n?!."), "help") {
		return []step{{verb: say, text: help}}
	}
	if name, arguments := wish(question); name != "" {
		return grant(name, arguments, r)
	}
	expression := arithmetic(question)
	if expression == "" {
		return []step{{verb: say, text: modest(question)}}
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

// grant calls the tool that was wished for.
func grant(name string, arguments map[string]any, r engine.Request) []step {
	if !offered(r, name) {
		return []step{{verb: say, text: fmt.Sprintf("I would use the tool %s for that, but you are not permitted to use it here.", name)}}
	}
	args, err := json.Marshal(arguments)
	if err != nil {
		return []step{{verb: fail, text: "model"}}
	}
	return []step{{verb: call, tool: name, args: string(args)}}
}

func offered(r engine.Request, name string) bool {
	for _, spec := range r.Tools {
		if spec.Name == name {
			return true
		}
	}
	return false
}

// modest says what this is and what the message was about.
func modest(question string) string {
	gist := strings.Join(strings.Fields(question), " ")
	if head := chars.HeadPoints(gist, 80); head != gist {
		gist = head + "…"
	}
	return fmt.Sprintf("You wrote: “%s”. Thank you. I have to be honest with you: I am Carrel's built-in demonstration, "+
		"which follows a few rules, and no language model is behind me, so I cannot say anything sensible about this. "+
		"What I can do is have arithmetic calculated, for example: what is 12*(3+4)? "+
		"Write help to see what else there is.", gist)
}

// calculated says what the calculator's result means: an equation, or why there is none.
func calculated(expression, result string) string {
	switch {
	case strings.HasPrefix(result, "≈"):
		return expression + " " + result
	case result != "" && strings.Trim(result, "-.0123456789") == "":
		return expression + " = " + result
	}
	return fmt.Sprintf("I could not calculate %s: %s", expression, result)
}

// maxPiece is the longest piece that is looked at, in characters: the calculator takes no longer ones.
const maxPiece = 500

// arithmetic finds the longest piece of a message that reads like arithmetic; "" if there is none.
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
		apart := !touches(text, at-1, at) && !touches(text, end, end-1) // 2x, H2+O2: a piece of something else
		if apart && end-at <= maxPiece {
			if piece := trim(string(text[at:end])); calculable(piece) && len(piece) > len(best) {
				best = piece
			}
		}
		at = end
	}
	return best
}

// belongs reports whether the character may stand in arithmetic. A comma before a blank, and a point or a % that end a
// sentence, are cut off later; what the calculator does not know (%, 1,000) it refuses better than we could.
func belongs(text []rune, at int) bool {
	c := text[at]
	if c == ',' {
		return at+1 < len(text) && isDigit(text[at+1])
	}
	return isDigit(c) || strings.ContainsRune(" .+-*/^()%×÷−", c)
}

// touches reports whether a letter stands directly beside the end of a piece.
func touches(text []rune, outside, inside int) bool {
	return outside >= 0 && outside < len(text) && unicode.IsLetter(text[outside]) && text[inside] != ' '
}

// trim cuts off what belongs to the sentence: blanks, points, operators and parentheses without a partner.
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

// calculable reports whether an operator stands between two operands.
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
