package scripted

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"
)

// whenDirective decodes the operands of a when directive.
func whenDirective(rest string) (step, error) {
	s := step{verb: when, high: math.Inf(1)}
	operands := strings.Fields(rest)
	if len(operands) == 0 || len(operands) > 3 {
		return s, need(false, "it needs a field, and then from which value and below which")
	}
	s.text = operands[0]
	for i, bound := range []*float64{&s.low, &s.high} {
		if i+1 < len(operands) {
			n, err := strconv.ParseFloat(operands[i+1], 64)
			if err != nil {
				return s, need(false, "its values are numbers")
			}
			*bound = n
		}
	}
	return s, nil
}

// chosen leaves out the steps behind a when directive whose field has another value, up to the next when directive. A
// script ends, for now, at a directive whose field no result has yet.
func chosen(steps []step, turns []turn) (all []step) {
	on := true
	for _, s := range steps {
		if s.verb == when {
			value, known := field(s.text, turns)
			if !known {
				return all
			}
			on = value >= s.low && value < s.high
		}
		if on || s.verb == when { // a when directive parts the calls around it
			all = append(all, s)
		}
	}
	return all
}

// field returns a number that a result has as a field of its JSON object. The newest result with it counts.
func field(name string, turns []turn) (value float64, known bool) {
	for _, t := range slices.Backward(turns) {
		for _, c := range slices.Backward(t.calls) {
			var object map[string]json.RawMessage
			if json.Unmarshal([]byte(t.results[c.ID]), &object) != nil || len(object[name]) == 0 {
				continue
			}
			if json.Unmarshal(object[name], &value) == nil {
				return value, true
			}
		}
	}
	return 0, false
}
