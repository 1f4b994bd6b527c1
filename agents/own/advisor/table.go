package advisor

import (
	"encoding/csv"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// row is one row of usage: the requests to one model on one day, or a single request.
type row struct {
	day      time.Time // midnight UTC
	model    string
	feature  string   // what the requests were for; "" if the table has no such column
	requests int64    // 1 if the table has no such column
	input    int64    // tokens, cached ones included
	cached   int64    // input tokens that the provider read from its cache
	output   int64    // tokens
	costUSD  *big.Rat // nil: not in the table
	latency  *big.Rat // milliseconds, the mean of the row's requests; nil: not in the table
	errors   int64    // failed requests
}

// table is what the tools compute from. It does not change after readTables.
type table struct {
	columns []string // of column, in the order of the text
	ignored []string // names of columns that no figure uses
	rows    []row
	sample  bool // the made-up data, not the person's
}

// has reports whether the table has a column.
func (t table) has(name string) bool { return slices.Contains(t.columns, name) }

// The names of the columns.
const (
	colDay      = "day"
	colModel    = "model"
	colFeature  = "feature"
	colRequests = "requests"
	colInput    = "input_tokens"
	colCached   = "cached_input_tokens"
	colOutput   = "output_tokens"
	colCost     = "cost_usd"
	colLatency  = "latency_ms"
	colErrors   = "errors"
)

// maxRows bounds the rows of all tables of a thread.
const maxRows = 5000

// column returns the column that a heading stands for, or "". Exports of providers use several names.
func column(heading string) string {
	name := strings.ToLower(strings.Trim(heading, " \"'`*\ufeff"))
	name = strings.NewReplacer(" ", "_", "-", "_").Replace(name)
	for column, others := range map[string][]string{
		colDay:      {"date", "timestamp", "start_time"},
		colModel:    {"model_name", "model_id"},
		colFeature:  {"use_case", "project", "application"},
		colRequests: {"calls", "num_requests", "num_model_requests"},
		colInput:    {"prompt_tokens", "tokens_in"},
		colCached:   {"input_cached_tokens", "cached_tokens", "cache_read_tokens"},
		colOutput:   {"completion_tokens", "tokens_out"},
		colCost:     {"cost", "cost_in_usd", "amount_usd"},
		colLatency:  {"latency", "duration_ms", "latency_in_ms"},
		colErrors:   {"failed", "failures", "error_count"},
	} {
		if name == column || slices.Contains(others, name) {
			return column
		}
	}
	return ""
}

// readTables reads the usage tables in a person's messages, oldest first. A table begins with a line of headings that
// has a day and a model, and ends at an empty line. Tables with the same columns count together, and a newer row
// replaces the older ones of its day, model and feature. A table with other columns replaces all earlier ones. A table
// with a mistake counts for nothing, and is an error unless a newer one follows. The error names the lines that are
// wrong; its text is for the person.
func readTables(texts []string) (all table, err error) {
	for at, text := range texts {
		lines := strings.Split(text, "\n")
		for i := 0; i+1 < len(lines); i++ {
			headings, separator := headingsOf(lines[i])
			if headings == nil || strings.TrimSpace(lines[i+1]) == "" {
				continue
			}
			one, n, mistake := readTable(headings, separator, lines[i+1:], i+2)
			i += n
			if err = mistake; err != nil {
				err = fmt.Errorf("in your message %d: %w", at+1, err)
				continue
			}
			all = join(all, one)
		}
	}
	if err == nil && len(all.rows) > maxRows {
		err = fmt.Errorf("the tables have %d rows, and at most %d can be used: combine the requests of a day into one "+
			"row", len(all.rows), maxRows)
	}
	return all, err
}

// join adds a newer table to the older ones, as readTables describes.
func join(old, newer table) table {
	if !slices.Equal(old.columns, newer.columns) {
		return newer
	}
	type key struct {
		day            time.Time
		model, feature string
	}
	replaced := map[key]bool{}
	for _, r := range newer.rows {
		replaced[key{r.day, r.model, r.feature}] = true
	}
	kept := slices.DeleteFunc(slices.Clone(old.rows), func(r row) bool {
		return replaced[key{r.day, r.model, r.feature}]
	})
	newer.rows = append(kept, newer.rows...)
	return newer
}

// headingsOf splits a line of headings. It returns nil for every other line.
func headingsOf(line string) (headings []string, separator rune) {
	for _, separator := range []rune{',', ';', '\t', '|'} {
		fields, err := fieldsOf(line, separator)
		if err != nil || len(fields) < 3 || len(fields) > 100 {
			continue
		}
		var known []string
		for _, f := range fields {
			known = append(known, column(f))
		}
		if slices.Contains(known, colDay) && slices.Contains(known, colModel) {
			return fields, separator
		}
	}
	return nil, 0
}

// fieldsOf splits a line of a table. Lines of a Markdown table may begin and end with a bar.
func fieldsOf(line string, separator rune) ([]string, error) {
	line = strings.TrimRight(line, "\r")
	if separator == '|' {
		return strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|"), nil
	}
	r := csv.NewReader(strings.NewReader(line))
	r.Comma, r.TrimLeadingSpace, r.FieldsPerRecord = separator, separator != '\t', -1
	return r.Read()
}

// maxMistakes is how many wrong lines an error names.
const maxMistakes = 5

// readTable reads the rows below a line of headings. first is the number of the first row's line in its message. n is
// the number of lines that belong to the table.
func readTable(headings []string, separator rune, lines []string, first int) (t table, n int, err error) {
	columns := make([]string, len(headings))
	for i, h := range headings {
		columns[i] = column(h)
		switch {
		case columns[i] == "":
			t.ignored = append(t.ignored, strings.TrimSpace(h))
		case slices.Contains(columns[:i], columns[i]):
			return t, 0, fmt.Errorf("line %d: the column %s is there twice: delete one", first-1, columns[i])
		default:
			t.columns = append(t.columns, columns[i])
		}
	}
	for _, needed := range []string{colInput, colOutput} {
		if !t.has(needed) {
			return t, 0, fmt.Errorf("line %d: the table has no column %s: add it", first-1, needed)
		}
	}
	var mistakes []error
	for ; n < len(lines); n++ {
		line := strings.TrimSpace(lines[n])
		if line == "" || strings.HasPrefix(line, "```") {
			break
		}
		if separator == '|' && strings.Trim(line, "|-: ") == "" {
			continue // below the headings of a Markdown table
		}
		r, err := readRow(columns, separator, lines[n])
		if err != nil {
			mistakes = append(mistakes, fmt.Errorf("line %d: %w", first+n, err))
			continue
		}
		t.rows = append(t.rows, r)
	}
	if more := len(mistakes) - maxMistakes; more > 0 {
		mistakes = append(mistakes[:maxMistakes], fmt.Errorf("and %d more lines", more))
	}
	return t, n, errors.Join(mistakes...)
}

// readRow reads one line by its columns. "" stands for a column that is ignored.
func readRow(columns []string, separator rune, line string) (r row, err error) {
	fields, err := fieldsOf(line, separator)
	if err != nil {
		return r, errors.New("its quotation marks do not match")
	}
	if len(fields) != len(columns) {
		return r, fmt.Errorf("it has %d fields, and the headings are %d", len(fields), len(columns))
	}
	r.requests = 1
	for i, text := range fields {
		if err := r.set(columns[i], strings.TrimSpace(text)); err != nil {
			return r, err
		}
	}
	switch {
	case r.cached > r.input:
		return r, errors.New("it has more cached_input_tokens than input_tokens, which include them")
	case r.errors > r.requests:
		return r, errors.New("it has more errors than requests")
	}
	return r, nil
}

// set reads one field.
func (r *row) set(column, text string) (err error) {
	switch column {
	case colDay:
		if len(text) > 10 { // a time of the day follows
			text = text[:10]
		}
		r.day, err = time.Parse(time.DateOnly, text)
		if err != nil {
			return fmt.Errorf("%s: write a day such as 2026-01-31, not %q", column, text)
		}
	case colModel:
		r.model, err = name(column, text)
	case colFeature:
		if text != "" {
			r.feature, err = name(column, text)
		}
	case colRequests:
		r.requests, err = whole(column, text)
	case colInput:
		r.input, err = whole(column, text)
	case colCached:
		r.cached, err = whole(column, text)
	case colOutput:
		r.output, err = whole(column, text)
	case colErrors:
		r.errors, err = whole(column, text)
	case colCost:
		r.costUSD, err = decimal(column, strings.TrimPrefix(text, "$"))
	case colLatency:
		r.latency, err = decimal(column, text)
	}
	return err
}

// name checks the name of a model or feature. The report has it in tables and charts.
func name(column, text string) (string, error) {
	bad := strings.IndexFunc(text, func(c rune) bool {
		return !unicode.In(c, unicode.L, unicode.N) && !strings.ContainsRune(" ._:/@+()-", c)
	})
	if text == "" || bad >= 0 || utf8.RuneCountInString(text) > 80 {
		return "", fmt.Errorf("%s: use at most 80 letters, digits and . _ : / @ + - ( ), not %q", column, text)
	}
	return text, nil
}

// whole reads a whole number from 0 to a thousand billion. An empty field is 0.
func whole(column, text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseUint(text, 10, 63)
	if err != nil || n > 1e12 {
		return 0, fmt.Errorf("%s: write a whole number up to 1000000000000 without separators, not %q", column, text)
	}
	return int64(n), nil
}

// decimal reads a decimal number exactly. An empty field is nil: not known.
func decimal(column, text string) (*big.Rat, error) {
	if text == "" {
		return nil, nil
	}
	before, after, point := strings.Cut(text, ".")
	digits := func(s string, most int) bool { return s != "" && len(s) <= most && strings.Trim(s, "0123456789") == "" }
	if !digits(before, 12) || point && !digits(after, 18) {
		return nil, fmt.Errorf("%s: write a decimal number such as 12.50 without separators, not %q", column, text)
	}
	n, _ := new(big.Rat).SetString(text) // digits parse
	return n, nil
}
