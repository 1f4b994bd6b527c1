package advisor

import (
	"strings"
	"testing"

	"carrel/shared/tool"
)

func TestReadTables_Forms(t *testing.T) {
	for name, text := range map[string]string{
		"CSV":        "day,model,input_tokens,output_tokens\n2026-01-02,big,3,4\n",
		"semicolons": "\ufeffDate;Model;Prompt tokens;Completion tokens\r\n2026-01-02;big;3;4\r\n",
		"tabs":       "day\tmodel\tinput_tokens\toutput_tokens\n2026-01-02\tbig\t3\t4",
		"Markdown":   "| day | model | tokens_in | tokens_out |\n|---|---|--:|--:|\n| 2026-01-02 | big | 3 | 4 |\n\n",
		"a fence":    "Look:\n```csv\nday,model,input_tokens,output_tokens\n2026-01-02,big,3,4\n```\nBye",
		"quotes":     "day,model,input_tokens,output_tokens\n\"2026-01-02\",\"big\",\"3\",\"4\"",
	} {
		got, err := readTables([]string{text})
		if err != nil || len(got.rows) != 1 {
			t.Errorf("%s: got %+v, %v", name, got, err)
			continue
		}
		r := got.rows[0]
		if byDay(r) != "2026-01-02" || r.model != "big" || r.input != 3 || r.output != 4 || r.requests != 1 {
			t.Errorf("%s: got %+v", name, r)
		}
	}
}

// A mistake names its line and what to write. Nothing is computed from a table with a mistake.
func TestReadTables_Mistakes(t *testing.T) {
	const head = "day,model,requests,input_tokens,cached_input_tokens,output_tokens,cost_usd,errors\n"
	for row, want := range map[string]string{
		"01/02/2026,big,1,1,0,1,1,0":         "line 3: day: write a day such as 2026-01-31",
		"2026-02-30,big,1,1,0,1,1,0":         "line 3: day: write a day",
		"2026-01-01,<b>,1,1,0,1,1,0":         "line 3: model: use at most 80 letters",
		"2026-01-01,big,1.5,1,0,1,1,0":       "line 3: requests: write a whole number",
		"2026-01-01,big,1,-1,0,1,1,0":        "line 3: input_tokens: write a whole number",
		"2026-01-01,big,1,9e99,0,1,1,0":      "line 3: input_tokens: write a whole number",
		"2026-01-01,big,1,1,0,1,1e999999,0":  "line 3: cost_usd: write a decimal number",
		"2026-01-01,big,1,1,0,1,1/3,0":       "line 3: cost_usd: write a decimal number",
		"2026-01-01,big,1,1,0,1":             "line 3: it has 6 fields, and the headings are 8",
		"2026-01-01,\"big,1,1,0,1,1,0":       "line 3: its quotation marks do not match",
		"2026-01-01,big,1,1,2,1,1,0":         "line 3: it has more cached_input_tokens than input_tokens",
		"2026-01-01,big,1,1,0,1,1,2":         "line 3: it has more errors than requests",
		strings.Repeat("x,big,,1,,1,,\n", 9): "and 4 more lines",
	} {
		got := call(t, "usage_report", "{}", "Hello\n"+head+row+"\n2026-01-01,big,1,1,0,1,1,0\n")
		if got.Outcome != tool.Failed || !strings.Contains(got.Content, want) {
			t.Errorf("%q: got %+v, want %s", row, got, want)
		}
	}
	got := call(t, "usage_report", "{}", "day,model,requests\n2026-01-01,big,1\n")
	if got.Outcome != tool.Failed || !strings.Contains(got.Content, "line 1: the table has no column input_tokens") {
		t.Errorf("without tokens: got %+v", got)
	}
}

// Several messages count together; a newer row and a corrected table replace the older ones.
func TestReadTables_Messages(t *testing.T) {
	const head = "day,model,input_tokens,output_tokens\n"
	for name, c := range map[string]struct {
		texts []string
		want  int64 // input tokens of all rows
	}{
		"two tables": {[]string{head + "2026-01-01,big,1,0", head + "2026-01-02,big,20,0"}, 21},
		"a newer row": {[]string{head + "2026-01-01,big,1,0\n2026-01-02,big,2,0",
			head + "2026-01-01,big,30,0"}, 32},
		"one row a request": {[]string{head + "2026-01-01,big,1,0\n2026-01-01,big,2,0"}, 3},
		"other columns": {[]string{head + "2026-01-01,big,1,0",
			"model,day,input_tokens,output_tokens\nbig,2026-01-02,5,0"}, 5},
		"a corrected table": {[]string{head + "yesterday,big,1,0", head + "2026-01-01,big,7,0"}, 7},
		"prose with commas": {[]string{head + "2026-01-01,big,1,0", "The day, the model, and the cost, please"}, 1},
	} {
		got, err := readTables(c.texts)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		sum := int64(0)
		for _, r := range got.rows {
			sum += r.input
		}
		if sum != c.want {
			t.Errorf("%s: %d input tokens, want %d", name, sum, c.want)
		}
	}
}

// FuzzReadTables checks that no text ends the process, and that a report has every row that was read.
func FuzzReadTables(f *testing.F) {
	f.Add(small)
	f.Add("day|model|input_tokens|output_tokens\n|||")
	f.Add(Sample(1, 2))
	f.Fuzz(func(t *testing.T, text string) {
		got, err := readTables([]string{text})
		if err != nil {
			return
		}
		rows := 0
		for _, one := range totalsBy(got.rows, prices(t), byDay) {
			rows += one.rows
		}
		if rows != len(got.rows) {
			t.Errorf("%d of %d rows are in the sums", rows, len(got.rows))
		}
		report(got, prices(t))
	})
}
