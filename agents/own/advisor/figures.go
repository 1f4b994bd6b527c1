package advisor

import (
	"cmp"
	"fmt"
	"math/big"
	"slices"
	"time"
)

// Price is what one million tokens of a model cost, in US dollars.
type Price struct {
	InputUSD, OutputUSD *big.Rat
	CacheReadUSD        *big.Rat // nil: the provider has no such price
}

// costUSD returns what a row's tokens cost at a price.
func (p Price) costUSD(r row) *big.Rat {
	read := p.CacheReadUSD
	if read == nil {
		read = p.InputUSD
	}
	sum := new(big.Rat)
	for _, part := range []struct {
		tokens int64
		price  *big.Rat
	}{{r.input - r.cached, p.InputUSD}, {r.cached, read}, {r.output, p.OutputUSD}} {
		sum.Add(sum, new(big.Rat).Mul(big.NewRat(part.tokens, 1_000_000), part.price))
	}
	return sum
}

// total holds the sums of some rows.
type total struct {
	name     string
	rows     int
	requests int64
	input    int64 // tokens
	cached   int64 // tokens
	output   int64 // tokens
	errors   int64
	costUSD  *big.Rat
	unpriced int // rows with neither a cost nor a known price; costUSD lacks them
	latency  []weighed
}

// weighed is the latency of some requests.
type weighed struct {
	ms       *big.Rat
	requests int64
}

func (t *total) add(r row, price func(model string) (Price, bool)) {
	t.rows++
	t.requests += r.requests
	t.input += r.input
	t.cached += r.cached
	t.output += r.output
	t.errors += r.errors
	if r.latency != nil && r.requests > 0 {
		t.latency = append(t.latency, weighed{r.latency, r.requests})
	}
	cost := r.costUSD
	if cost == nil {
		p, ok := price(r.model)
		if !ok {
			t.unpriced++
			return
		}
		cost = p.costUSD(r)
	}
	t.costUSD.Add(t.costUSD, cost)
}

// totalsBy returns the sums of the rows with the same key, the most expensive first.
func totalsBy(rows []row, price func(string) (Price, bool), key func(row) string) []*total {
	byKey := map[string]*total{}
	var all []*total
	for _, r := range rows {
		k := key(r)
		if byKey[k] == nil {
			byKey[k] = &total{name: k, costUSD: new(big.Rat)}
			all = append(all, byKey[k])
		}
		byKey[k].add(r, price)
	}
	slices.SortStableFunc(all, func(a, b *total) int {
		return cmp.Or(b.costUSD.Cmp(a.costUSD), cmp.Compare(a.name, b.name))
	})
	return all
}

func byModel(r row) string { return r.model }
func byDay(r row) string   { return r.day.Format(time.DateOnly) }

func byFeature(r row) string {
	if r.feature == "" {
		return "(none)"
	}
	return r.feature
}

func everything(row) string { return "all" }

// percentileMs returns the latency in milliseconds that so many percent of the requests do not exceed: the nearest
// rank, where each row counts as often as it has requests. It is nil without any latency.
func (t *total) percentileMs(percent int64) *big.Rat {
	sorted := slices.SortedFunc(slices.Values(t.latency), func(a, b weighed) int { return a.ms.Cmp(b.ms) })
	requests := int64(0)
	for _, w := range sorted {
		requests += w.requests
	}
	// The rank is percent/100 of the requests, rounded up. The products fit: requests are below 5,000 × 10¹².
	rank, seen := (requests*percent+99)/100, int64(0)
	for _, w := range sorted {
		if seen += w.requests; seen >= rank {
			return w.ms
		}
	}
	return nil
}

// perThousand returns the cost of a thousand requests in US dollars, or nil without a request.
func (t *total) perThousand() *big.Rat {
	if t.requests == 0 {
		return nil
	}
	return new(big.Rat).Mul(t.costUSD, big.NewRat(1000, t.requests))
}

// percent returns part of whole in percent, or nil if whole is 0.
func percent(part, whole int64) *big.Rat {
	if whole == 0 {
		return nil
	}
	return new(big.Rat).Mul(big.NewRat(part, whole), big.NewRat(100, 1))
}

// trend says how the cost of a day develops. Its days are those with a row, oldest first.
type trend struct {
	days     []*total
	slope    *big.Rat // US dollars a day, by least squares; nil with fewer than two days
	change   *big.Rat // percent, the last seven days against the first seven; nil with fewer than 14 days
	unusual  []*total // days that cost more than twice the median day
	failing  []*total // days on which failPercent of the requests failed, or more
	medianed *big.Rat // the cost of the median day in US dollars
}

// failPercent is the share of failed requests from which a day is worth a sentence.
const failPercent = 5

// trendOf computes the trend of the cost.
func trendOf(rows []row, price func(string) (Price, bool)) trend {
	t := trend{days: totalsBy(rows, price, byDay)}
	t.medianed = medianUSD(t.days)
	slices.SortFunc(t.days, func(a, b *total) int { return cmp.Compare(a.name, b.name) })
	for _, d := range t.days {
		if d.costUSD.Cmp(new(big.Rat).Add(t.medianed, t.medianed)) > 0 {
			t.unusual = append(t.unusual, d)
		}
		if d.errors > 0 && d.errors*100 >= d.requests*failPercent {
			t.failing = append(t.failing, d)
		}
	}
	t.slope = slopeUSD(t.days)
	if n := len(t.days); n >= 14 {
		first, last := sumUSD(t.days[:7]), sumUSD(t.days[n-7:])
		if first.Sign() > 0 {
			t.change = new(big.Rat).Quo(last.Sub(last, first), first)
			t.change.Mul(t.change, big.NewRat(100, 1))
		}
	}
	return t
}

// medianUSD returns the cost of the median day. Its argument is sorted by cost.
func medianUSD(days []*total) *big.Rat {
	if len(days) == 0 {
		return new(big.Rat)
	}
	sum := new(big.Rat).Add(days[(len(days)-1)/2].costUSD, days[len(days)/2].costUSD)
	return sum.Mul(sum, big.NewRat(1, 2))
}

func sumUSD(totals []*total) *big.Rat {
	sum := new(big.Rat)
	for _, t := range totals {
		sum.Add(sum, t.costUSD)
	}
	return sum
}

// slopeUSD fits a line through the costs of the days by least squares and returns its slope. The place of a day is its
// date, so a missing day leaves a gap.
func slopeUSD(days []*total) *big.Rat {
	if len(days) < 2 {
		return nil
	}
	n := big.NewRat(int64(len(days)), 1)
	sx, sy, sxx, sxy := new(big.Rat), new(big.Rat), new(big.Rat), new(big.Rat)
	for _, d := range days {
		x := big.NewRat(daysFrom(days[0].name, d.name), 1)
		sx.Add(sx, x)
		sy.Add(sy, d.costUSD)
		sxx.Add(sxx, new(big.Rat).Mul(x, x))
		sxy.Add(sxy, new(big.Rat).Mul(x, d.costUSD))
	}
	// (n·Σxy − Σx·Σy) / (n·Σx² − (Σx)²); the days differ, so the divisor is not 0
	over := new(big.Rat).Sub(new(big.Rat).Mul(n, sxy), new(big.Rat).Mul(sx, sy))
	return over.Quo(over, new(big.Rat).Sub(new(big.Rat).Mul(n, sxx), new(big.Rat).Mul(sx, sx)))
}

// daysFrom returns the days from one date to another. Both are dates that byDay has written.
func daysFrom(first, other string) int64 {
	a, errA := time.Parse(time.DateOnly, first)
	b, errB := time.Parse(time.DateOnly, other)
	if errA != nil || errB != nil {
		return 0
	}
	return int64(b.Sub(a) / (24 * time.Hour))
}

// rounded writes a number with so many decimals, half away from zero, or "unknown".
func rounded(n *big.Rat, decimals int) string {
	if n == nil {
		return "unknown"
	}
	return n.FloatString(decimals)
}

// signed writes a number with its sign.
func signed(n *big.Rat, decimals int) string {
	if n != nil && n.Sign() > 0 {
		return "+" + rounded(n, decimals)
	}
	return rounded(n, decimals)
}

// span describes the days of a trend.
func (t trend) span() string {
	if len(t.days) == 0 {
		return "no day"
	}
	return fmt.Sprintf("%d days, %s to %s", len(t.days), t.days[0].name, t.days[len(t.days)-1].name)
}
