package advisor

import (
	"fmt"
	"math/big"
	"slices"
)

// whatIf is a change whose effect is computed: a share of a model's requests goes to another model.
type whatIf struct {
	from, to     string
	feature      string // "": all
	sharePercent int64
	toPrice      Price
}

// effect is what a change does to the tokens of the data, at list prices.
type effect struct {
	beforeUSD, afterUSD *big.Rat
	requests            int64 // that change
}

func (e effect) savingUSD() *big.Rat { return new(big.Rat).Sub(e.beforeUSD, e.afterUSD) }

// compute applies the change to the rows. The other model gets the same tokens, and its own price for cached input.
func (w whatIf) compute(rows []row, fromPrice Price) effect {
	e := effect{beforeUSD: new(big.Rat), afterUSD: new(big.Rat)}
	part := big.NewRat(w.sharePercent, 100)
	rest := new(big.Rat).Sub(big.NewRat(1, 1), part)
	for _, r := range rows {
		if r.model != w.from || w.feature != "" && r.feature != w.feature {
			continue
		}
		before := fromPrice.costUSD(r)
		e.beforeUSD.Add(e.beforeUSD, before)
		e.afterUSD.Add(e.afterUSD, new(big.Rat).Mul(before, rest))
		e.afterUSD.Add(e.afterUSD, new(big.Rat).Mul(w.toPrice.costUSD(r), part))
		e.requests += r.requests
	}
	return e
}

// option is one way to save, with its effect.
type option struct {
	change    string
	savingUSD *big.Rat // over the days of the data
	risk      string
	check     string // what to measure before and after
}

// The assumptions of the options. The report states them.
const (
	switchPercent = 50 // of a model's requests
	cachePercent  = 50 // of the input tokens
	outputPercent = 20 // of the output tokens
)

// minimumUSD is the saving below which an option is not worth a line: one cent.
const minimumUSD = "0.01"

// optionsOf returns the ways to save, the largest first. It proposes only models that the data have already, because
// the person knows their answers.
func optionsOf(t table, price func(string) (Price, bool)) []option {
	var all []option
	models := totalsBy(t.rows, price, byModel)
	for _, m := range models {
		p, ok := price(m.name)
		if !ok {
			continue
		}
		for _, other := range models {
			to, ok := price(other.name)
			if !ok || other.name == m.name {
				continue
			}
			e := whatIf{from: m.name, to: other.name, sharePercent: switchPercent, toPrice: to}.compute(t.rows, p)
			all = append(all, option{
				change:    fmt.Sprintf("Send %d %% of the requests of %s to %s", switchPercent, m.name, other.name),
				savingUSD: e.savingUSD(),
				risk:      "the answers may be worse",
				check: fmt.Sprintf("compare the answers of both models to 50 requests, and the latency: %s ms "+
					"against %s ms at the median", rounded(m.percentileMs(50), 0), rounded(other.percentileMs(50), 0)),
			})
		}
		all = append(all, ofModel(t.rows, m, p)...)
	}
	least, _ := new(big.Rat).SetString(minimumUSD)
	all = slices.DeleteFunc(all, func(o option) bool { return o.savingUSD.Cmp(least) < 0 })
	slices.SortStableFunc(all, func(a, b option) int { return b.savingUSD.Cmp(a.savingUSD) })
	return all
}

// ofModel returns the ways to save that keep the model.
func ofModel(rows []row, m *total, p Price) []option {
	million := func(tokens *big.Rat) *big.Rat { return new(big.Rat).Mul(tokens, big.NewRat(1, 1_000_000)) }
	output := million(new(big.Rat).Mul(big.NewRat(m.output, 1), big.NewRat(outputPercent, 100)))
	all := []option{{
		change:    fmt.Sprintf("Make the answers of %s %d %% shorter", m.name, outputPercent),
		savingUSD: output.Mul(output, p.OutputUSD),
		risk:      "answers may lack something",
		check:     "set the maximum output, ask for brevity, and count how many answers reach the maximum",
	}}
	half := new(big.Rat).Mul(big.NewRat(m.input, 1), big.NewRat(cachePercent, 100))
	more := million(half.Sub(half, big.NewRat(m.cached, 1)))
	if p.CacheReadUSD != nil && more.Sign() > 0 {
		all = append(all, option{
			change: fmt.Sprintf("Let the provider's cache serve %d %% of the input of %s", cachePercent,
				m.name),
			savingUSD: more.Mul(more, new(big.Rat).Sub(p.InputUSD, p.CacheReadUSD)),
			risk:      "none for the answers; some providers charge for writing the cache",
			check:     "put the stable part of the prompt first, and watch cached_input_tokens",
		})
	}
	wasted := new(big.Rat)
	for _, r := range rows {
		if r.model == m.name && r.requests > 0 {
			wasted.Add(wasted, new(big.Rat).Mul(p.costUSD(r), big.NewRat(r.errors, r.requests)))
		}
	}
	return append(all, option{
		change:    fmt.Sprintf("Find the cause of the failed requests of %s", m.name),
		savingUSD: wasted,
		risk:      "none; it is the most that can be saved, because a failed request may cost less",
		check:     "group the errors by their code, and watch errors per day",
	})
}
