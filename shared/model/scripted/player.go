package scripted

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"carrel/shared/agui"
	"carrel/shared/engine"
)

// breath is the longest time without a sign of life, except for the failure stall.
const breath = 20 * time.Second

// player streams the steps of one model call.
type player struct {
	ctx    context.Context
	model  *Model
	yield  func(engine.Delta, error) bool
	deltas int
	calls  int
	stop   engine.StopReason
	gap    time.Duration // before each delta
	over   bool          // nothing more may be yielded

	message string     // identifies the question
	at      int        // the position of the step
	empty   bool       // the answer is to stay empty
	last    bool       // no further step is played
	usage   agui.Usage // the reported one, if it is not the counted one
}

// play streams steps until one of them ends the answer.
func (p *player) play(steps []step) {
	p.stop = engine.StopEnd
	for i, s := range steps {
		if p.over || p.empty || p.last || p.stop != engine.StopEnd && p.stop != engine.StopTools {
			return
		}
		p.at = i
		p.step(s)
	}
}

func (p *player) step(s step) {
	switch s.verb {
	case say:
		p.words(s.text, func(word string) engine.Delta { return engine.Delta{Text: word} })
	case think:
		p.words(s.text, func(word string) engine.Delta { return engine.Delta{Reasoning: word} })
	case stream:
		for i := range s.n {
			if !p.pause(s.pause) || !p.emit(engine.Delta{Text: numbered(i+1, s.size)}) {
				return
			}
		}
	case wait:
		left := s.pause
		for ; left > breath; left -= breath { // slow, and alive
			if !p.pause(breath) || !p.emit(engine.Delta{}) {
				return
			}
			p.deltas--
		}
		p.pause(left)
	case pace:
		p.gap = s.pause
	case call:
		p.calls++
		p.stop = engine.StopTools
		start := engine.ToolStart{ID: fmt.Sprintf("call_%d", p.calls), Name: s.tool}
		if p.emit(engine.Delta{ToolStart: &start}) {
			half := len(s.args) / 2 // in two pieces, as models stream them
			for _, piece := range []string{s.args[:half], s.args[half:]} {
				if piece != "" && !p.emit(engine.Delta{ToolArgs: piece}) {
					return
				}
			}
		}
	case quote:
		for line := range strings.Lines(s.text) {
			if !p.pause(p.model.pace) || !p.emit(engine.Delta{Text: line}) {
				return
			}
		}
	case recite:
		p.emit(engine.Delta{Text: s.text})
	case keep:
		p.emit(engine.Delta{Keep: "carrel/scripted@v1:" + base64.StdEncoding.EncodeToString([]byte(s.text))})
	case usage:
		p.usage = agui.Usage{InputTokens: s.n, OutputTokens: s.size}
	case alive:
		for range s.n {
			if !p.pause(s.pause) || !p.emit(engine.Delta{}) {
				return
			}
			p.deltas--
		}
	case fail:
		if p.model.fails(p.message, p.at, s.n) {
			p.fail(s.text, s.pause)
		}
	}
}

// stops returns the stop reasons that a fail directive may name.
func stops() map[string]engine.StopReason {
	return map[string]engine.StopReason{
		"cut": engine.StopMaxTokens, "filtered": engine.StopFiltered, "refusal": engine.StopRefusal,
		"sequence": engine.StopSequence, "pause": engine.StopPause, "malformed": engine.StopMalformed,
		"context": engine.StopContext,
	}
}

// kinds returns the kinds of a provider's failures that a fail directive may name.
func kinds() map[string]engine.Kind {
	return map[string]engine.Kind{
		"throttled": engine.Throttled, "overloaded": engine.Overloaded, "lost": engine.Cut, "too_long": engine.TooLong,
		"refused": engine.Refused, "invalid": engine.Invalid,
	}
}

// fail plays a fail directive of this kind.
func (p *player) fail(how string, after time.Duration) {
	if stop, ok := stops()[how]; ok {
		p.stop = stop
		return
	}
	if kind, ok := kinds()[how]; ok {
		cause := errors.New("scripted: a provider's failure, as the script says")
		p.error(&engine.ModelError{Kind: kind, After: after, Cause: cause})
		return
	}
	switch how {
	case "empty":
		p.empty = true
	case "output":
		p.words("This is not the JSON that was asked for.",
			func(word string) engine.Delta { return engine.Delta{Text: word} })
		p.last = true
	case "stall":
		<-p.ctx.Done()
		p.error(p.ctx.Err())
	case "late":
		p.words("This answer will not be finished, because the script says so: ",
			func(word string) engine.Delta { return engine.Delta{Text: word} })
		p.error(errors.New("scripted: a failure after some text, as the script says"))
	case "panic":
		panic("scripted: a panic, as the script says")
	default:
		p.error(errors.New("scripted: a failure, as the script says"))
	}
}

// words streams a text word by word, each with the blank after it.
func (p *player) words(text string, delta func(word string) engine.Delta) {
	for text != "" {
		end := len(text)
		if blank := strings.IndexAny(text, " \n"); blank >= 0 {
			end = blank + 1
		}
		if !p.pause(p.model.pace) || !p.emit(delta(text[:end])) {
			return
		}
		text = text[end:]
	}
}

// numbered returns the n-th delta of a stream: its number, filled up to the size.
func numbered(n, size int) string {
	text := fmt.Sprintf("%d ", n)
	if len(text) < size {
		text = strings.Repeat(".", size-len(text)) + text
	}
	return text
}

// pause waits for d. It returns false if the model call has ended.
func (p *player) pause(d time.Duration) bool {
	if p.over {
		return false
	}
	if d > 0 {
		select {
		case <-p.model.after(d):
		case <-p.ctx.Done():
		}
	}
	if p.ctx.Err() != nil {
		p.error(p.ctx.Err())
	}
	return !p.over
}

// emit yields a delta. It returns false if the model call has ended.
func (p *player) emit(d engine.Delta) bool {
	if p.over || p.gap > 0 && !p.pause(p.gap) {
		return false
	}
	if p.ctx.Err() != nil {
		p.error(p.ctx.Err())
		return false
	}
	p.deltas++
	p.over = !p.yield(d, nil)
	return !p.over
}

// error ends the model call with an error.
func (p *player) error(err error) {
	if !p.over {
		p.over = true
		p.yield(engine.Delta{}, err)
	}
}
