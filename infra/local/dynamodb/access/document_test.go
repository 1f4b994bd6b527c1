package access

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"
)

// TestDocument finds the parts of random JSON texts, and compares them with the parts that encoding/json finds.
func TestDocument(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	if given, err := strconv.ParseUint(os.Getenv("SEED"), 10, 64); err == nil {
		seed = given
	}
	t.Logf("SEED=%d repeats this test", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for range 20000 {
		compareParts(t, randomJSON(random, 4))
	}
}

// compareParts compares a text and all its parts.
func compareParts(t *testing.T, text []byte) {
	t.Helper()
	v, err := parse(text)
	if err != nil {
		t.Fatalf("parse %q: %v", text, err)
	}
	var o map[string]json.RawMessage
	got, objectErr := v.object()
	if want := json.Unmarshal(text, &o); (want == nil) != (objectErr == nil) || len(got) != len(o) {
		t.Fatalf("%q is an object of %d members (%v), want %d (%v)", text, len(got), objectErr, len(o), want)
	}
	for name, member := range o {
		if !bytes.Equal(got.get(name), bytes.TrimSpace(member)) {
			t.Fatalf("member %q of %q is %q, want %q", name, text, got.get(name), member)
		}
		compareParts(t, member)
	}
	var list []json.RawMessage
	elements, listErr := v.list()
	if want := json.Unmarshal(text, &list); (want == nil) != (listErr == nil) || len(elements) != len(list) {
		t.Fatalf("%q is a list of %d elements (%v), want %d (%v)", text, len(elements), listErr, len(list), want)
	}
	for _, element := range list {
		compareParts(t, element)
	}
	var s string
	gotText, textErr := v.text()
	if want := json.Unmarshal(text, &s); (want == nil) != (textErr == nil) || gotText != s {
		t.Fatalf("%q is the text %q (%v), want %q (%v)", text, gotText, textErr, s, want)
	}
}

// randomJSON returns a random text with spaces between its tokens.
func randomJSON(random *rand.Rand, depth int) []byte {
	var b []byte
	space := func() {
		for random.IntN(3) == 0 {
			b = append(b, " \t\r\n"[random.IntN(4)])
		}
	}
	text := func() []byte {
		const from = `ab\"{}[]:, é` + "\x01\xff"
		raw := make([]byte, random.IntN(5))
		for i := range raw {
			raw[i] = from[random.IntN(len(from))]
		}
		quoted, err := json.Marshal(string(raw))
		if err != nil {
			panic(err)
		}
		return quoted
	}
	separated := func(open, end byte, element func()) {
		b = append(b, open)
		for i := range random.IntN(4) {
			if i > 0 {
				b = append(b, ',')
			}
			space()
			element()
			space()
		}
		space()
		b = append(b, end)
	}
	space()
	switch kind := random.IntN(7); {
	case kind < 2 && depth > 0:
		separated('{', '}', func() {
			b = append(b, text()...)
			space()
			b = append(b, ':')
			b = append(b, randomJSON(random, depth-1)...)
		})
	case kind == 2 && depth > 0:
		separated('[', ']', func() { b = append(b, randomJSON(random, depth-1)...) })
	case kind < 5:
		b = append(b, text()...)
	default:
		b = append(b, []string{"null", "true", "false", "0", "-1.5e3"}[random.IntN(5)]...)
	}
	space()
	return b
}

// TestScalar_OneMember refuses a key with two members: the engine could read another one than the policy.
func TestScalar_OneMember(t *testing.T) {
	for _, text := range []string{`{"S":"a","S":"b"}`, `{"S":"a","N":"1"}`, `{}`, `{"s":"a"}`, `"a"`, `null`,
		`{"S":1}`} {
		v, err := parse([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if key, err := scalar(v); err == nil {
			t.Errorf("%s is the key %q", text, key)
		}
	}
}

func TestParse_NotJSON(t *testing.T) {
	for _, text := range []string{"", " ", "{", `{"a":}`, `{"a":1}x`, `"a`, "{\"a\":\"\x01\"}"} {
		if v, err := parse([]byte(text)); err == nil {
			t.Errorf("%q is %q", text, v)
		}
	}
}

// BenchmarkPermissions measures the usual transaction.
func BenchmarkPermissions(b *testing.B) {
	s := Schema{ARN: func(table string) string { return table }, Hash: func(string, string) string { return "PK" }}
	body := []byte(`{"TransactItems":[{"Put":{"TableName":"T","Item":{"PK":{"S":"U#alice#T#01"},"SK":{"S":"E#1"},` +
		`"events":{"S":"` + string(bytes.Repeat([]byte("delta "), 100)) + `"}}}},{"Update":{"TableName":"T",` +
		`"Key":{"PK":{"S":"U#alice"},"SK":{"S":"RUN#1"}},"UpdateExpression":"SET #a = :a",` +
		`"ExpressionAttributeNames":{"#a":"a"},"ExpressionAttributeValues":{":a":{"N":"1"}}}}]}`)
	b.ReportAllocs()
	for b.Loop() {
		if all, err := Permissions("TransactWriteItems", body, s); err != nil || len(all) != 2 {
			b.Fatal(all, err)
		}
	}
}
