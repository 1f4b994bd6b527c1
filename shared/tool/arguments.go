package tool

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/google/jsonschema-go/jsonschema"

	"carrel/shared/chars"
)

// safe is the largest whole number that every JSON decoder keeps exactly.
const safe = 1<<53 - 1

// bounded adds bounds to the whole numbers of a schema that has none. A larger number would be rejected later, or lose
// digits.
func bounded(s *jsonschema.Schema) {
	if s == nil {
		return
	}
	if s.Type == "integer" {
		least, most := float64(-safe), float64(safe)
		if s.Minimum == nil {
			s.Minimum = &least
		}
		if s.Maximum == nil {
			s.Maximum = &most
		}
	}
	bounded(s.Items)
	bounded(s.AdditionalProperties)
	for _, property := range s.Properties {
		bounded(property)
	}
}

// normal rewrites a JSON value so that Go accepts the same integers as JSON Schema: 1 for 1.0, 100 for 1e2. A duplicate
// key is an error, because people and programs disagree about which one counts.
func normal(text json.RawMessage) (json.RawMessage, error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	var whole json.RawMessage
	if err := json.Unmarshal(text, &whole); err != nil { // the tokens alone would not show every error
		return nil, explain(err)
	}
	var out bytes.Buffer
	if err := copyValue(&out, dec); err != nil {
		return nil, explain(err)
	}
	return out.Bytes(), nil
}

// copyValue writes the next value of dec to out.
func copyValue(out *bytes.Buffer, dec *json.Decoder) error {
	token, err := dec.Token()
	if err != nil {
		return err
	}
	switch v := token.(type) {
	case json.Delim:
		return copyItems(out, dec, v)
	case json.Number:
		out.WriteString(digits(v.String()))
		return nil
	}
	text, err := json.Marshal(token)
	out.Write(text)
	return err
}

// copyItems writes the rest of an object or array after its opening brace or bracket.
func copyItems(out *bytes.Buffer, dec *json.Decoder, open json.Delim) error {
	keys := map[string]bool{}
	out.WriteString(open.String())
	for n := 0; dec.More(); n++ {
		if n > 0 {
			out.WriteByte(',')
		}
		if open == '{' {
			key, err := dec.Token()
			if err != nil {
				return err
			}
			name, _ := key.(string)
			if keys[name] {
				return fmt.Errorf("the field %q stands twice; write it once", chars.HeadPoints(name, 100))
			}
			keys[name] = true
			text, err := json.Marshal(name)
			if err != nil {
				return err
			}
			out.Write(text)
			out.WriteByte(':')
		}
		if err := copyValue(out, dec); err != nil {
			return err
		}
	}
	end, err := dec.Token()
	if err != nil {
		return err
	}
	if end, ok := end.(json.Delim); ok {
		out.WriteString(end.String())
	}
	return nil
}

// digits returns a JSON number as plain digits if it is whole and short, and unchanged otherwise.
func digits(number string) string {
	const most = 20 // digits of the largest integer in Go
	mantissa, exponent, _ := strings.Cut(strings.ToLower(number), "e")
	whole, fraction, _ := strings.Cut(mantissa, ".")
	shift := 0
	if exponent != "" {
		var err error
		if shift, err = strconv.Atoi(exponent); err != nil || shift > most || shift < -len(mantissa) {
			return number
		}
	}
	sign, whole := cutSign(whole)
	all := strings.TrimLeft(whole, "0") + fraction
	point := len(all) - len(fraction) + shift
	switch {
	case strings.Trim(all, "0") == "":
		return "0"
	case point < 0 || point > most:
		return number
	case point >= len(all):
		all += strings.Repeat("0", point-len(all))
	case strings.Trim(all[point:], "0") != "":
		return number
	}
	return sign + strings.TrimLeft(all[:point], "0")
}

func cutSign(number string) (sign, rest string) {
	if rest, negative := strings.CutPrefix(number, "-"); negative {
		return "-", rest
	}
	return "", number
}

// explain rewrites a decoding error without Go types, because a model reads it.
func explain(err error) error {
	var wrongType *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	var when *time.ParseError
	switch {
	case errors.As(err, &wrongType):
		what := "cannot be taken here"
		if strings.HasPrefix(wrongType.Value, "number") {
			what = "is out of range"
		}
		if wrongType.Field == "" {
			return fmt.Errorf("the %s %s", wrongType.Value, what)
		}
		return fmt.Errorf("%s: the %s %s", wrongType.Field, wrongType.Value, what)
	case errors.As(err, &when):
		return fmt.Errorf("%q is not a time such as 2026-01-31T12:00:00Z", chars.HeadPoints(when.Value, 100))
	case errors.As(err, &syntax), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("not valid JSON: %w", err)
	}
	return err
}

// readable rewrites a message of the schema package in JSON's terms. The package writes numbers as fractions, and null
// as Go does.
func readable(message string) string {
	message = strings.NewReplacer("validating root: ", "", "<invalid reflect.Value>", "null").Replace(message)
	message = regexp.MustCompile(`-?\d+/\d+ is `).ReplaceAllStringFunc(message, func(found string) string {
		value, ok := new(big.Rat).SetString(strings.TrimSuffix(found, " is "))
		if !ok {
			return found
		}
		f, _ := value.Float64()
		return strconv.FormatFloat(f, 'g', -1, 64) + " is "
	})
	return regexp.MustCompile(`(\d)\.000000\b`).ReplaceAllString(message, "$1")
}
