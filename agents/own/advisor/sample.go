package advisor

import (
	"fmt"
	"math/big"
	"math/rand/v2"
	"strings"
	"time"
)

// workload is one use of a model in the made-up data.
type workload struct {
	model, feature string
	requests       int64 // on a weekday
	input, output  int64 // tokens of one request
	latencyMs      int64
	inputUSD       string // per million tokens
	outputUSD      string // per million tokens
}

// SampleDays and SampleSeed make the data that the advisor uses when a person asks for the sample.
const (
	SampleDays = 30
	SampleSeed = 1
)

// incident is the day, counted from 0, on which a part of the requests fails and the others are slow.
const incident = 16

// Sample makes up a usage table as CSV, the same text for the same arguments. Days begin on 1 September 2026. It grows,
// has quiet weekends, and an incident on the seventeenth day. days is at most 60, so that it fits into one message.
func Sample(seed uint64, days int) string {
	random := rand.New(rand.NewPCG(seed, 0))
	var b strings.Builder
	b.WriteString(strings.Join([]string{colDay, colModel, colFeature, colRequests, colInput, colCached, colOutput,
		colCost, colLatency, colErrors}, ",") + "\n")
	for i := range min(days, 60) {
		day := time.Date(2026, time.September, 1+i, 0, 0, 0, 0, time.UTC)
		for _, w := range []workload{
			{"gpt-4.1", "support", 900, 1800, 350, 2400, "2", "8"},
			{"claude-sonnet-4-5", "code review", 220, 6000, 900, 5200, "3", "15"},
			{"gpt-4.1", "summaries", 150, 9000, 500, 6100, "2", "8"},
			{"gpt-4.1-mini", "classification", 4000, 420, 12, 480, "0.4", "1.6"},
		} {
			b.WriteString(w.line(random, day, i) + "\n")
		}
	}
	return b.String()
}

// line makes the row of one day.
func (w workload) line(random *rand.Rand, day time.Time, i int) string {
	vary := func(n int64) int64 { return n * (90 + random.Int64N(21)) / 100 } // by a tenth
	requests := vary(w.requests) * int64(100+2*i) / 100
	if weekday := day.Weekday(); weekday == time.Saturday || weekday == time.Sunday {
		requests = requests * 35 / 100
	}
	failed, latency := requests*random.Int64N(8)/1000, vary(w.latencyMs)
	if i == incident {
		failed, latency = requests/8, latency*3
	}
	input, output := requests*vary(w.input), requests*vary(w.output)
	cost := new(big.Rat)
	for price, tokens := range map[string]int64{w.inputUSD: input, w.outputUSD: output} {
		usd, _ := new(big.Rat).SetString(price)
		cost.Add(cost, usd.Mul(usd, big.NewRat(tokens, 1_000_000)))
	}
	return fmt.Sprintf("%s,%s,%s,%d,%d,0,%d,%s,%d,%d", day.Format(time.DateOnly), w.model, w.feature, requests, input,
		output, rounded(cost, 4), latency, failed)
}
