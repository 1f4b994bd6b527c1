package advisor

import (
	"context"
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"carrel/shared/chat/chattest"
	"carrel/shared/tool"
	"carrel/shared/usercontext"
)

// rat returns a decimal number.
func rat(t *testing.T, text string) *big.Rat {
	t.Helper()
	n, ok := new(big.Rat).SetString(text)
	if !ok {
		t.Fatalf("%q is not a number", text)
	}
	return n
}

// prices are of two made-up models: "big" at 2 and 8 USD per million tokens and 0.50 for cached input, "small" at 0.40
// and 1.60 without a price for cached input.
func prices(t *testing.T) func(string) (Price, bool) {
	all := map[string]Price{
		"big":   {InputUSD: rat(t, "2"), OutputUSD: rat(t, "8"), CacheReadUSD: rat(t, "0.5")},
		"small": {InputUSD: rat(t, "0.4"), OutputUSD: rat(t, "1.6")},
	}
	return func(model string) (Price, bool) {
		p, ok := all[model]
		return p, ok
	}
}

// call calls a tool in a run whose thread has these messages of the person.
func call(t *testing.T, name, arguments string, texts ...string) tool.Result {
	t.Helper()
	tools, err := New(prices(t))
	if err != nil {
		t.Fatal(err)
	}
	registry, err := tool.NewRegistry(tools...)
	if err != nil {
		t.Fatal(err)
	}
	uc, err := usercontext.New(t.Context(), usercontext.Config{User: chattest.User(t, "alice"), Thread: "t", Run: "r",
		Request: "q", Grants: []string{Grant}})
	if err != nil {
		t.Fatal(err)
	}
	defer uc.Close(context.Background())
	d, err := tool.NewDispatcher(uc, registry, registry.Names())
	if err != nil {
		t.Fatal(err)
	}
	d.Texts = texts
	return d.Call(t.Context(), tool.Call{ID: "c", Name: name, Arguments: arguments})
}

// small is a table of four rows over three days.
const small = `Here are my figures:
day,model,feature,requests,input_tokens,cached_input_tokens,output_tokens,cost_usd,latency_ms,errors
2026-01-01,big,chat,10,1000000,200000,100000,2.50,1000,1
2026-01-01,small,tags,30,500000,0,50000,0.28,200,0
2026-01-02,big,chat,20,2000000,0,200000,5.60,1500,1
2026-01-04,big,search,5,500000,0,50000,1.4,4000,0

Thank you.`

func TestFigures(t *testing.T) {
	for by, want := range map[string][]string{
		// big: 10+20+5 requests; 1,000,000+2,000,000+500,000 input; 100,000+200,000+50,000 output;
		// 2.50+5.60+1.40 = 9.50 USD; 9.50/35·1000 = 271.428… USD; errors 2/35 = 5.714… %;
		// latency: 10 at 1000, 20 at 1500, 5 at 4000: rank ⌈17.5⌉ = 18 → 1500, rank ⌈33.25⌉ = 34 → 4000.
		// small: 0.28/30·1000 = 9.333… USD.
		"model": {
			"| big | 35 | 3500000 | 350000 | 9.50 | 271.43 | 5.71 | 1500 | 4000 |",
			"| small | 30 | 500000 | 50000 | 0.28 | 9.33 | 0.00 | 200 | 200 |",
		},
		"feature": {"| chat | 30 | 3000000 | 300000 | 8.10 | 270.00 | 6.67 | 1500 | 1500 |"}, // 8.10/30·1000; 2/30
		// All: 9.78 USD, 65 requests: 150.461… USD. Ranks of 65: ⌈32.5⌉ = 33 → 1000 (30 at 200, 10 at 1000),
		// ⌈61.75⌉ = 62 → 4000 (60 up to 1500).
		"all": {"| all | 65 | 4000000 | 400000 | 9.78 | 150.46 | 3.08 | 1000 | 4000 |"},
		// The days cost 2.78, 5.60 and 1.40 at x = 0, 1, 3: n = 3, Σx = 4, Σy = 9.78, Σx² = 10,
		// Σxy = 5.60+4.20 = 9.80. The slope is (3·9.80 − 4·9.78)/(3·10 − 16) = −9.72/14 = −0.694… The median is 2.78,
		// and 5.60 exceeds twice that, 5.56.
		"day": {"changes by -0.69 USD per day", "The median day costs 2.78 USD.", "2026-01-02 was unusual: 5.60 USD.",
			"On 2026-01-02 5.00 % of the requests failed, at a median latency of 1500 ms."}, // 1/20
	} {
		got := call(t, "usage_figures", `{"by":"`+by+`"}`, small)
		for _, line := range want {
			if got.Outcome != tool.OK || !strings.Contains(got.Content, line) {
				t.Errorf("by %s: got %s\n%s\nwant %s", by, got.Outcome, got.Content, line)
			}
		}
	}
}

// A row without a cost has the cost of its tokens at list price; cached input has its own price.
func TestFigures_ListPrice(t *testing.T) {
	const table = "date;model;input_tokens;cached_tokens;output_tokens\n" +
		"2026-01-01T10:00:00Z;big;1000000;200000;100000\n2026-01-01;unheard-of;1;0;1\n"
	// 800,000·2 + 200,000·0.50 + 100,000·8 = 1.60 + 0.10 + 0.80 = 2.50 USD
	got := call(t, "usage_figures", `{"by":"model"}`, table)
	if !strings.Contains(got.Content, "| big | 1 | 1000000 | 100000 | 2.50 |") ||
		!strings.Contains(got.Content, "1 rows have neither a cost nor a known price") {
		t.Errorf("got %s", got.Content)
	}
}

func TestWhatIf(t *testing.T) {
	for name, c := range map[string]struct{ arguments, want string }{
		// At list prices big costs 2.50 + 5.60 + 1.40 = 9.50 USD. On small it is 3,500,000·0.40 + 350,000·1.60 =
		// 1.40 + 0.56 = 1.96 USD, because small has no price for cached input. Half: (9.50 + 1.96)/2 = 5.73 USD.
		"half": {`{"from":"big","to":"small","share_percent":50}`,
			"requests: 35, of which 50 % change\ncost_before_usd: 9.50\ncost_after_usd: 5.73\nsaving_usd: 3.77\n" +
				"saving_percent: 39.7"},
		// search: 500,000·2 + 50,000·8 = 1.40 USD before; 0.20 + 0.08 = 0.28 USD after.
		"all of one feature": {`{"from":"big","to":"small","share_percent":100,"feature":"search"}`,
			"cost_before_usd: 1.40\ncost_after_usd: 0.28\nsaving_usd: 1.12\nsaving_percent: 80.0"},
		// 3,500,000·1 + 350,000·1 = 3.85 USD; 9.50 − 3.85 = 5.65 USD, 59.47… %.
		"a price of the person's": {`{"from":"big","to":"mine","share_percent":100,"to_input_usd_per_million":"1",` +
			`"to_output_usd_per_million":"1.00"}`, "cost_after_usd: 3.85\nsaving_usd: 5.65\nsaving_percent: 59.5"},
		"an unknown model":    {`{"from":"big","to":"other","share_percent":50}`, `the price of "other" is not known`},
		"more than all":       {`{"from":"big","to":"small","share_percent":101}`, "from 1 to 100"},
		"half of a price":     {`{"from":"big","to":"x","share_percent":1,"to_input_usd_per_million":"1"}`, "both"},
		"a negative price":    {`{"from":"big","to":"x","share_percent":1,"to_input_usd_per_million":"-1"}`, "decimal"},
		"a feature not there": {`{"from":"big","to":"small","share_percent":1,"feature":"x"}`, "no row has"},
	} {
		if got := call(t, "usage_whatif", c.arguments, small); !strings.Contains(got.Content, c.want) {
			t.Errorf("%s: got %s\nwant %s", name, got.Content, c.want)
		}
	}
}

func TestOptions(t *testing.T) {
	// Over 3 days; times 10 for 30 days. Half of big to small saves 3.77 USD. 20 % of 350,000 output tokens at 8 USD
	// are 0.56 USD. Half of 3,500,000 input tokens less 200,000 cached are 1,550,000, at 2 − 0.50 USD: 2.325 USD. The
	// failed requests of big cost 2.50·1/10 + 5.60·1/20 = 0.53 USD. Of small, 20 % of 50,000·1.60 are 0.016 USD.
	got := call(t, "usage_options", `{}`, small).Content
	at := 0
	for _, line := range []string{"requests of big to small | 37.70 |", "input of big | 23.25 |",
		"answers of big 20 % shorter | 5.60 |", "failed requests of big | 5.30 |",
		"answers of small 20 % shorter | 0.16 |"} {
		next := strings.Index(got[at:], line)
		if next < 0 {
			t.Fatalf("got %s\nwant %s in this order", got, line)
		}
		at += next
	}
	if strings.Contains(got, "small to big") {
		t.Errorf("a change without a saving is proposed: %s", got)
	}
}

func TestCheck(t *testing.T) {
	head := "day,model,input_tokens,output_tokens"
	days := func(n int, fields string) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "2026-01-%02d,%s\n", i+1, fields)
		}
		return b.String()
	}
	for name, c := range map[string]struct{ table, want string }{
		"nothing": {"Please help.", `{"sufficiency":0.00,"level":"insufficient"`},
		// 20 for tokens, 20 for a known price, 20·1/14 for the day: 41.43 points
		"a day of a known model": {head + "\n" + days(1, "big,1,1"), `{"sufficiency":0.41,"level":"partial"`},
		// 20 + 20·1/14 = 21.43
		"a day without a price": {head + "\n" + days(1, "other,1,1"), `{"sufficiency":0.21,"level":"insufficient"`},
		// 20 + 20 + 20
		"two weeks": {head + "\n" + days(14, "big,1,1"), `{"sufficiency":0.60,"level":"partial"`},
		// and 20 for latency
		"with latency": {head + ",latency_ms\n" + days(14, "big,1,1,5"), `{"sufficiency":0.80,"level":"full"`},
		// every other row has a latency: 10 points
		"with half of the latency": {head + ",latency_ms\n" + days(14, "big,1,1,5") + days(14, "small,1,1,"),
			`{"sufficiency":0.70,"level":"partial"`},
		"all": {head + ",latency_ms,feature,requests,errors\n" + days(14, "big,1,1,5,f,2,1"),
			`{"sufficiency":1.00,"level":"full"`},
	} {
		if got := call(t, "usage_check", "{}", c.table); !strings.HasPrefix(got.Content, c.want) {
			t.Errorf("%s: got %s, want %s", name, got.Content, c.want)
		}
	}
}

// A table with a mistake has no sufficiency, and the answer names the line. The steps are those of the report.
func TestCheck_MistakesAndActions(t *testing.T) {
	got := call(t, "usage_check", "{}", "day,model,input_tokens,output_tokens\ntoday,big,1,1\n")
	if got.Outcome != tool.OK || !strings.Contains(got.Content, `"sufficiency":0.00`) ||
		!strings.Contains(got.Content, "line 2: day: write a day") {
		t.Errorf("got %+v", got)
	}
	got = call(t, "usage_actions", "{}", small)
	if want := "1. Send 50 % of the requests of big to small. Check it:"; !strings.HasPrefix(got.Content, want) {
		t.Errorf("got %+v, want %s", got, want)
	}
}

func TestReport_Levels(t *testing.T) {
	got := call(t, "usage_report", "{}", "Please help.").Content
	if !strings.HasPrefix(got, "## Not enough data") || !strings.Contains(got, "- rows of 14 days or more") {
		t.Errorf("without a table: %s", got)
	}
	got = call(t, "usage_report", "{}", small).Content
	for _, want := range []string{"## AI cost and performance: 9.78 USD in 3 days", "Sufficiency: 0.84 (full)",
		"```chart\nbar: Cost by model in USD\nmodel | cost_usd\nbig | 9.50\nsmall | 0.28\n```",
		"2026-01-02 | 5.60\n2026-01-04 | 1.40\n```", "1. Send 50 % of the requests of big to small. Check it:"} {
		if !strings.Contains(got, want) {
			t.Errorf("got %s\nwant %s", got, want)
		}
	}
}

// Equal arguments give an equal sample, which fits into one message and is sufficient.
func TestSample(t *testing.T) {
	text := Sample(SampleSeed, SampleDays)
	if text != Sample(SampleSeed, SampleDays) || text == Sample(SampleSeed+1, SampleDays) {
		t.Error("the sample does not depend on its seed alone")
	}
	if n := len(Sample(7, 1000)); n > 24<<10 {
		t.Errorf("the longest sample has %d bytes, more than one message holds", n)
	}
	pasted, sample := call(t, "usage_report", "{}", text), call(t, "usage_report", `{"sample":true}`)
	if asked := call(t, "usage_report", "{}", "Show me the sample, please."); asked.Content != sample.Content {
		t.Errorf("the word sample gives %s", asked.Content)
	}
	note := "These are the figures of the **built-in sample**, which is made up.\n\n"
	if strings.Replace(sample.Content, note, "", 1) != pasted.Content || !strings.Contains(sample.Content, note) {
		t.Errorf("pasted: %s\nsample: %s", pasted.Content, sample.Content)
	}
}

// The tools' arguments are JSON objects that fit the schema; wrong ones are refused before a tool reads them.
func TestTools_UnknownArguments(t *testing.T) {
	arguments, err := json.Marshal(map[string]any{"sample": true, "user": "bob"})
	if err != nil {
		t.Fatal(err)
	}
	if got := call(t, "usage_check", string(arguments)); got.Outcome != tool.BadArguments {
		t.Errorf("got %+v", got)
	}
}
