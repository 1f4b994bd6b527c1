package advisor

import (
	"fmt"
	"math/big"
	"strings"
)

// format describes the table that a person has to send.
const format = "Paste a table into a message: CSV, tab-separated or Markdown, with a line of headings and one row " +
	"per day, model and feature (or one row per request). For example:\n\n```\n" +
	"day,model,feature,requests,input_tokens,output_tokens,cost_usd,latency_ms,errors\n" +
	"2026-01-31,gpt-4.1,support,900,1620000,315000,5.76,2400,3\n```\n\nA message holds about 400 rows. Send more " +
	"rows in further messages with the same headings. Write sample to see a report on made-up data."

const caution = "Each row assumes the same tokens and list prices. The savings overlap, so do not add them up."

const percentiles = "p50_ms and p95_ms are percentiles of the rows' mean latency, weighted by requests.\n\n"

// maxOptions and maxActions bound the lists of a report.
const (
	maxOptions = 8
	maxActions = 3
)

// report writes the whole report as Markdown. Every figure in it is computed here.
func report(t table, price func(string) (Price, bool)) string {
	s := sufficiencyOf(t, price)
	if s.level() == "insufficient" {
		return insufficient(t, s)
	}
	all := totalsBy(t.rows, price, everything)[0]
	tr := trendOf(t.rows, price)
	var b strings.Builder
	fmt.Fprintf(&b, "## AI cost and performance: %s USD in %d days\n\n", rounded(all.costUSD, 2), len(tr.days))
	if t.sample {
		b.WriteString("These are the figures of the **built-in sample**, which is made up.\n\n")
	}
	fmt.Fprintf(&b, "Data: %d rows, %s. Sufficiency: %s (%s).\n\n", len(t.rows), tr.span(), rounded(s.score, 2),
		s.level())
	if all.unpriced > 0 {
		fmt.Fprintf(&b, "%d rows have neither a cost nor a known price. The costs below do not include them.\n\n",
			all.unpriced)
	}
	models := totalsBy(t.rows, price, byModel)
	b.WriteString("### Cost and speed\n\n" + totalsTable("model", append(models, all)) + "\n" + percentiles)
	b.WriteString(chart("bar", "Cost by model in USD", "model", "cost_usd", models))
	b.WriteString(tr.text() + "\n" + chart("line", "Cost per day in USD", "day", "cost_usd", tr.days))
	if t.has(colFeature) {
		b.WriteString("### Features\n\n" + totalsTable("feature", totalsBy(t.rows, price, byFeature)) + "\n")
	}
	options := optionsOf(t, price)
	b.WriteString("### How to save\n\n" + optionsTable(options, len(tr.days)) + "\n")
	b.WriteString("### Next steps\n\n" + actions(options))
	if missing := s.missing(); len(missing) > 0 {
		b.WriteString("\n### Data that would improve this report\n\n" + list(missing))
	}
	return b.String()
}

// insufficient lists the data that a report needs.
func insufficient(t table, s sufficiency) string {
	return fmt.Sprintf("## Not enough data for a report\n\nThe sufficiency is %s, from %d rows; a partial report "+
		"needs %s and a full one %s. Please add:\n\n%s\n%s", rounded(s.score, 2), len(t.rows), partialScore, fullScore,
		list(s.missing()), format)
}

func list(lines []string) string {
	var b strings.Builder
	for _, l := range lines {
		fmt.Fprintf(&b, "- %s\n", l)
	}
	return b.String()
}

// totalsTable writes sums as a Markdown table. The percentiles are of the rows' mean latency, weighted by requests.
func totalsTable(key string, totals []*total) string {
	var b strings.Builder
	fmt.Fprintf(&b, "| %s | requests | input_tokens | output_tokens | cost_usd | usd_per_1000_requests | "+
		"errors_percent | p50_ms | p95_ms |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|\n", key)
	for _, t := range totals {
		fmt.Fprintf(&b, "| %s | %d | %d | %d | %s | %s | %s | %s | %s |\n", t.name, t.requests, t.input, t.output,
			rounded(t.costUSD, 2), rounded(t.perThousand(), 2), rounded(percent(t.errors, t.requests), 2),
			rounded(t.percentileMs(50), 0), rounded(t.percentileMs(95), 0))
	}
	return b.String()
}

// maxBars and maxPoints are how many values a page draws. More are left out of the chart; the table has them.
const (
	maxBars   = 12
	maxPoints = 60
)

// chart writes the costs as a chart block, which a page draws and a terminal shows as it is.
func chart(kind, title, key, value string, totals []*total) string {
	most := maxBars
	if kind == "line" {
		most = maxPoints
	}
	if len(totals) < 2 {
		return ""
	}
	var b strings.Builder
	fmt.Fprintf(&b, "```chart\n%s: %s\n%s | %s\n", kind, title, key, value)
	for _, t := range totals[max(0, len(totals)-most):] {
		fmt.Fprintf(&b, "%s | %s\n", t.name, rounded(t.costUSD, 2))
	}
	return b.String() + "```\n\n"
}

// text describes the trend in sentences.
func (t trend) text() string {
	var b strings.Builder
	if t.change != nil {
		fmt.Fprintf(&b, "The last seven days cost %s %% against the first seven. ", signed(t.change, 1))
	}
	if t.slope != nil {
		fmt.Fprintf(&b, "The cost of a day changes by %s USD per day (least squares). ", signed(t.slope, 2))
	}
	fmt.Fprintf(&b, "The median day costs %s USD.", rounded(t.medianed, 2))
	for _, d := range t.unusual {
		fmt.Fprintf(&b, " %s was unusual: %s USD.", d.name, rounded(d.costUSD, 2))
	}
	for _, d := range t.failing {
		fmt.Fprintf(&b, " On %s %s %% of the requests failed, at a median latency of %s ms.", d.name,
			rounded(percent(d.errors, d.requests), 2), rounded(d.percentileMs(50), 0))
	}
	return b.String() + "\n"
}

// optionsTable writes the ways to save. days is the number of days of the data.
func optionsTable(options []option, days int) string {
	if len(options) == 0 {
		return "The data show no way to save.\n"
	}
	var b strings.Builder
	b.WriteString("| change | usd_per_30_days | risk |\n|---|--:|---|\n")
	for _, o := range options[:min(maxOptions, len(options))] {
		month := new(big.Rat).Mul(o.savingUSD, big.NewRat(30, int64(days)))
		fmt.Fprintf(&b, "| %s | %s | %s |\n", o.change, rounded(month, 2), o.risk)
	}
	return b.String() + "\n" + caution + "\n"
}

// actions writes what to do first, with a way to check each.
func actions(options []option) string {
	if len(options) == 0 {
		return "Send more data, or ask about a change that you have in mind.\n"
	}
	var b strings.Builder
	for i, o := range options[:min(maxActions, len(options))] {
		fmt.Fprintf(&b, "%d. %s. Check it: %s.\n", i+1, o.change, o.check)
	}
	return b.String()
}
