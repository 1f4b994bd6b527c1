package advisor

import (
	"encoding/json"
	"fmt"
	"math/big"
)

// fullDays is the number of days with which the trend compares two whole weeks.
const fullDays = 14

// part is one part of the sufficiency: a question that the data can answer.
type part struct {
	question string
	points   int64    // of 100
	share    *big.Rat // how much of it the data have, 0 to 1
	missing  string   // what to add
}

// sufficiency says how far the data suffice for advice.
type sufficiency struct {
	parts []part
	score *big.Rat // 0 to 1
}

// The scores from which a report is full or partial. Below the second, the advisor asks for data.
const (
	fullScore    = "0.8"
	partialScore = "0.4"
)

// level returns full, partial or insufficient.
func (s sufficiency) level() string {
	full, _ := new(big.Rat).SetString(fullScore)
	partly, _ := new(big.Rat).SetString(partialScore)
	switch {
	case s.score.Cmp(full) >= 0:
		return "full"
	case s.score.Cmp(partly) >= 0:
		return "partial"
	}
	return "insufficient"
}

// missing returns what to add for a score of 1, the most valuable first.
func (s sufficiency) missing() []string {
	var all []string
	for _, p := range s.parts {
		if p.share.Cmp(big.NewRat(1, 1)) < 0 {
			all = append(all, p.missing)
		}
	}
	return all
}

// sufficiencyOf scores a table: each part has points, and a part that only some rows can answer has that share of them.
func sufficiencyOf(t table, price func(model string) (Price, bool)) sufficiency {
	days := map[string]bool{}
	var tokens, cost, latency, failures, feature int64
	for _, r := range t.rows {
		days[byDay(r)] = true
		_, priced := price(r.model)
		tokens += one(r.input+r.output > 0)
		cost += one(r.costUSD != nil || priced)
		latency += one(r.latency != nil)
		failures += one(t.has(colErrors) && t.has(colRequests))
		feature += one(r.feature != "")
	}
	rows := int64(len(t.rows))
	s := sufficiency{score: new(big.Rat), parts: []part{
		{"which models, and how many tokens", 20, share(tokens, rows),
			"rows with the columns day, model, input_tokens and output_tokens"},
		{"how much it costs", 20, share(cost, rows),
			"the column cost_usd, for models without a price in agents/models.yaml"},
		{"how fast the answers are", 20, share(latency, rows), "the column latency_ms"},
		{"how it develops", 20, share(min(int64(len(days)), fullDays), fullDays),
			fmt.Sprintf("rows of %d days or more", fullDays)},
		{"how much fails", 10, share(failures, rows), "the columns requests and errors"},
		{"which features use it", 10, share(feature, rows), "the column feature, such as support or search"},
	}}
	for _, p := range s.parts {
		s.score.Add(s.score, new(big.Rat).Mul(p.share, big.NewRat(p.points, 100)))
	}
	return s
}

func one(yes bool) int64 {
	if yes {
		return 1
	}
	return 0
}

func share(part, whole int64) *big.Rat {
	if whole == 0 {
		return new(big.Rat)
	}
	return big.NewRat(part, whole)
}

// answer is the sufficiency as the tool returns it.
type answer struct {
	Sufficiency json.Number `json:"sufficiency"` // 0 to 1
	Level       string      `json:"level"`
	Rows        int         `json:"rows"`
	Sample      bool        `json:"sample,omitempty"` // the built-in sample, not the person's own data
	Parts       []points    `json:"parts"`
	Missing     []string    `json:"missing"`
	Mistakes    string      `json:"mistakes,omitempty"` // in the table; nothing was computed from it
	Ignored     int         `json:"columnsThatNoFigureUses,omitempty"`
	Form        string      `json:"form,omitempty"` // how to send the data
}

type points struct {
	Question string      `json:"question"`
	Points   json.Number `json:"points"`
	Of       int64       `json:"of"`
}

// json describes the sufficiency to the model as JSON. mistakes are those in the person's table.
func (s sufficiency) json(t table, mistakes string) (string, error) {
	a := answer{Sufficiency: json.Number(rounded(s.score, 2)), Level: s.level(), Rows: len(t.rows), Sample: t.sample,
		Missing: append([]string{}, s.missing()...), Mistakes: mistakes, Ignored: len(t.ignored)}
	for _, p := range s.parts {
		got := new(big.Rat).Mul(p.share, big.NewRat(p.points, 1))
		a.Parts = append(a.Parts, points{p.question, json.Number(rounded(got, 1)), p.points})
	}
	if len(t.rows) == 0 {
		a.Form = format
	}
	text, err := json.Marshal(a)
	return string(text), err
}
