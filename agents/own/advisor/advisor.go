// Package advisor provides the tools of the sample agent that advises on the cost and performance of AI models. They
// compute from a usage table that the person pasted into the thread: sums, percentiles, trends, and what a change would
// save. Money is computed exactly, in fractions, and rounded when it is written. The model copies no row and computes
// no figure.
package advisor

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"regexp"
	"strings"

	"carrel/shared/tool"
)

// Grant is the grant that a run needs for these tools.
const Grant = "usage"

// maxResult bounds one result in bytes.
const maxResult = 24 << 10

type source struct {
	Sample bool `json:"sample,omitempty" jsonschema:"true: use the built-in sample data"`
}

type figuresArguments struct {
	By     string `json:"by" jsonschema:"what to group by: model, feature, day or all"`
	Sample bool   `json:"sample,omitempty" jsonschema:"true: use the built-in sample data"`
}

type whatIfArguments struct {
	From         string `json:"from" jsonschema:"the model that answers now"`
	To           string `json:"to" jsonschema:"the model that would answer instead"`
	SharePercent int64  `json:"share_percent" jsonschema:"how many percent of the requests change, 1 to 100"`
	Feature      string `json:"feature,omitempty" jsonschema:"only requests of this feature"`
	InputUSD     string `json:"to_input_usd_per_million,omitempty" jsonschema:"for a model without a price: 0.40"`
	OutputUSD    string `json:"to_output_usd_per_million,omitempty" jsonschema:"likewise, for output tokens"`
	Sample       bool   `json:"sample,omitempty" jsonschema:"true: use the built-in sample data"`
}

// New makes the tools. price returns the list price of a model, and false if it is not known; it is called
// concurrently.
func New(price func(model string) (Price, bool)) ([]tool.Tool, error) {
	a := advisor{price}
	check, err1 := tool.Define("usage_check", "Scores from 0 to 1 whether the usage table in this thread suffices for "+
		"advice (full from "+fullScore+", partial from "+partialScore+") and lists the missing data.", Grant, a.check)
	figures, err2 := tool.Define("usage_figures", "Computes requests, tokens, cost, errors and latency percentiles by "+
		"model, feature or day, and the trend of the cost.", Grant, a.figures)
	options, err3 := tool.Define("usage_options", "Computes what each known way to save would save in 30 days.", Grant,
		a.options)
	steps, err6 := tool.Define("usage_actions", "Lists the steps, the largest saving first, and how to check each.",
		Grant, a.actions)
	whatif, err4 := tool.Define("usage_whatif", "Computes what the usage would have cost if a share of one model's "+
		"requests had gone to another model.", Grant, a.whatIf)
	whole, err5 := tool.Define("usage_report", "Writes the whole report as Markdown with charts, or says which data "+
		"are missing. Pass it on as it is.", Grant, a.report)
	all := []tool.Tool{check, figures, options, steps, whatif, whole}
	for i, t := range all {
		all[i] = t.ReadOnly().ResultBytes(maxResult)
	}
	return all, errors.Join(err1, err2, err3, err4, err5, err6)
}

// advisor computes with a price table. It holds no data of a user.
type advisor struct {
	price func(model string) (Price, bool)
}

// data returns the table of the call: the sample if it is asked for, or else the one in the person's messages. Without
// one, a message with the word sample asks for the sample too.
func data(ctx context.Context, sample bool) (table, error) {
	texts := tool.UserTexts(ctx)
	if !sample {
		t, err := readTables(texts)
		if err != nil {
			return t, &tool.Error{Text: "The table has mistakes, and nothing was computed. Name these lines, and ask " +
				"for the corrected table:\n" + err.Error()}
		}
		if len(t.rows) > 0 || !regexp.MustCompile(`(?i)\bsample\b`).MatchString(strings.Join(texts, "\n")) {
			return t, nil
		}
	}
	t, err := readTables([]string{Sample(SampleSeed, SampleDays)})
	t.sample = true
	return t, err
}

// filled is data, with an error for a table without a row.
func filled(ctx context.Context, sample bool) (table, error) {
	t, err := data(ctx, sample)
	if err == nil && len(t.rows) == 0 {
		err = &tool.Error{Text: "This thread has no usage table. " + format}
	}
	return t, err
}

func (a advisor) check(ctx context.Context, in source) (string, error) {
	t, err := data(ctx, in.Sample)
	mistakes := ""
	if wrong := (*tool.Error)(nil); errors.As(err, &wrong) {
		t, mistakes = table{}, wrong.Text
	} else if err != nil {
		return "", err
	}
	return sufficiencyOf(t, a.price).json(t, mistakes)
}

func (a advisor) figures(ctx context.Context, in figuresArguments) (string, error) {
	t, err := filled(ctx, in.Sample)
	if err != nil {
		return "", err
	}
	keys := map[string]func(row) string{"model": byModel, "feature": byFeature, "day": byDay, "all": everything}
	key, ok := keys[in.By]
	if !ok {
		return "", &tool.Error{Text: fmt.Sprintf("by must be model, feature, day or all, not %q", in.By)}
	}
	totals := totalsBy(t.rows, a.price, key)
	unpriced := 0
	for _, one := range totals {
		unpriced += one.unpriced
	}
	text := totalsTable(in.By, totals) + "\n" + trendOf(t.rows, a.price).text()
	if unpriced > 0 {
		text += fmt.Sprintf("%d rows have neither a cost nor a known price, and the costs do not include them.\n",
			unpriced)
	}
	return text + percentiles, nil
}

func (a advisor) options(ctx context.Context, in source) (string, error) {
	t, err := filled(ctx, in.Sample)
	if err != nil {
		return "", err
	}
	return optionsTable(optionsOf(t, a.price), len(totalsBy(t.rows, a.price, byDay))), nil
}

func (a advisor) actions(ctx context.Context, in source) (string, error) {
	t, err := filled(ctx, in.Sample)
	if err != nil {
		return "", err
	}
	return actions(optionsOf(t, a.price)), nil
}

func (a advisor) report(ctx context.Context, in source) (string, error) {
	t, err := data(ctx, in.Sample)
	if err != nil {
		return "", err
	}
	return report(t, a.price), nil
}

func (a advisor) whatIf(ctx context.Context, in whatIfArguments) (string, error) {
	t, err := filled(ctx, in.Sample)
	if err != nil {
		return "", err
	}
	if in.SharePercent < 1 || in.SharePercent > 100 {
		return "", &tool.Error{Text: "share_percent must be from 1 to 100"}
	}
	from, ok := a.price(in.From)
	if !ok {
		return "", &tool.Error{Text: fmt.Sprintf("the price of %q is not known; ask about a model in the price table",
			in.From)}
	}
	to, err := a.otherPrice(in)
	if err != nil {
		return "", err
	}
	w := whatIf{from: in.From, to: in.To, feature: in.Feature, sharePercent: in.SharePercent, toPrice: to}
	e := w.compute(t.rows, from)
	if e.requests == 0 {
		return "", &tool.Error{Text: "no row has this model and feature; usage_figures lists them"}
	}
	saved := new(big.Rat)
	if e.beforeUSD.Sign() > 0 {
		saved.Quo(e.savingUSD(), e.beforeUSD).Mul(saved, big.NewRat(100, 1))
	}
	return fmt.Sprintf("requests: %d, of which %d %% change\ncost_before_usd: %s\ncost_after_usd: %s\nsaving_usd: %s\n"+
		"saving_percent: %s\nThis assumes the same tokens and list prices.\n", e.requests, in.SharePercent,
		rounded(e.beforeUSD, 2), rounded(e.afterUSD, 2), rounded(e.savingUSD(), 2), rounded(saved, 1)), nil
}

// otherPrice returns the price of the model that would answer, from the arguments or else from the price table.
func (a advisor) otherPrice(in whatIfArguments) (Price, error) {
	if in.InputUSD != "" || in.OutputUSD != "" {
		input, err1 := decimal("to_input_usd_per_million", in.InputUSD)
		output, err2 := decimal("to_output_usd_per_million", in.OutputUSD)
		if err := errors.Join(err1, err2); err != nil {
			return Price{}, &tool.Error{Text: err.Error()}
		}
		if input == nil || output == nil {
			return Price{}, &tool.Error{Text: "give both prices, or neither"}
		}
		return Price{InputUSD: input, OutputUSD: output}, nil
	}
	p, ok := a.price(in.To)
	if !ok {
		return p, &tool.Error{Text: fmt.Sprintf("the price of %q is not known: ask the person, and give it in "+
			"to_input_usd_per_million and to_output_usd_per_million", in.To)}
	}
	return p, nil
}
