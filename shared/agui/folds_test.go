package agui_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"carrel/shared/agui"
)

const folds = "testdata/folds"

// stream is a stream of events with the messages that both clients must build from it.
type stream struct {
	Seed     uint64            `json:"seed"`
	Events   []json.RawMessage `json:"events"`
	Messages []json.RawMessage `json:"messages"`
}

// folded returns the messages of a stream as Go folds it, each as JSON.
func folded(t *testing.T, events []json.RawMessage) []json.RawMessage {
	t.Helper()
	var f agui.Folder
	for _, raw := range events {
		var e agui.Event
		if err := json.Unmarshal(raw, &e); err != nil {
			t.Fatalf("%s: %v", raw, err)
		}
		f.Add(e)
	}
	messages := []json.RawMessage{}
	for _, m := range f.Messages() {
		data, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		messages = append(messages, data)
	}
	return messages
}

func sameMessages(t *testing.T, got, want []json.RawMessage) bool {
	t.Helper()
	same := len(got) == len(want)
	for i := range min(len(got), len(want)) {
		var a, b any
		if json.Unmarshal(got[i], &a) != nil || json.Unmarshal(want[i], &b) != nil {
			t.Fatalf("no JSON: %s or %s", got[i], want[i])
		}
		same = same && reflect.DeepEqual(a, b)
	}
	return same
}

func lines(data []byte) (all []json.RawMessage) {
	for line := range bytes.Lines(data) {
		if line = bytes.TrimSpace(line); len(line) > 0 {
			all = append(all, line)
		}
	}
	return all
}

func joined(lines []json.RawMessage) []byte {
	var b bytes.Buffer
	for _, line := range lines {
		b.Write(append(line, '\n'))
	}
	return b.Bytes()
}

// Each rule of the fold is a file, which the npm client's folds.test.ts reads too. UPDATE=1 writes Go's result into the
// files.
func TestFolder_Rules(t *testing.T) {
	files, err := filepath.Glob(folds + "/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no rules", err)
	}
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil || len(archive.Files) != 2 {
			t.Fatalf("%s: %v", file, err)
		}
		got, want := folded(t, lines(archive.Files[0].Data)), lines(archive.Files[1].Data)
		if os.Getenv("UPDATE") != "" {
			archive.Files[1].Data = joined(got)
			if err := os.WriteFile(file, txtar.Format(archive), 0o600); err != nil {
				t.Fatal(err)
			}
		} else if !sameMessages(t, got, want) {
			t.Errorf("%s: folded to\n%swant\n%s", file, joined(got), joined(want))
		}
	}
}

// The npm client folds random streams the same, although no run produces most of them. The file holds some streams.
// `make folds` tries others: FOLDS names the file to write, COUNT and SEED select the streams.
func TestFolder_RandomStreams(t *testing.T) {
	file, seed, count := folds+"/random.jsonl", uint64(1), 60
	write := os.Getenv("UPDATE") != ""
	if other := os.Getenv("FOLDS"); other != "" {
		var err error
		if seed, err = strconv.ParseUint(os.Getenv("SEED"), 10, 64); err != nil {
			t.Fatal("SEED is wanted: ", err)
		}
		if count, err = strconv.Atoi(os.Getenv("COUNT")); err != nil {
			t.Fatal("COUNT is wanted: ", err)
		}
		file, write = other, true
		t.Logf("SEED=%d COUNT=%d", seed, count)
	}
	if write {
		var all []json.RawMessage
		for i := range count {
			s := stream{Seed: seed + uint64(i)}
			s.Events = events(rand.New(rand.NewPCG(s.Seed, 0)))
			s.Messages = folded(t, s.Events)
			line, err := json.Marshal(s)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, line)
		}
		if err := os.WriteFile(file, joined(all), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range lines(data) {
		var s stream
		if err := json.Unmarshal(line, &s); err != nil {
			t.Fatal(err)
		}
		if got := folded(t, s.Events); !sameMessages(t, got, s.Messages) {
			t.Errorf("SEED=%d: folded to\n%swant\n%s", s.Seed, joined(got), joined(s.Messages))
		}
	}
}

// events returns a random stream. Some streams are in a run's order, most are in none, and ids are few, so that they
// collide.
func events(rng *rand.Rand) []json.RawMessage {
	one := func(of ...string) string { return of[rng.IntN(len(of))] }
	id := func() string { return one("a", "b", "c", "u", "é", "") }
	text := func() string {
		return one("x", "é", "e", "\u0301", "👨‍👩‍👧", "🇩🇪", "\u2028", "\"\\", "\x00", "ﬁ", "")
	}
	metadata := func() string {
		return one("", "", "", `,"metadata":{"k":1}`, `,"metadata":{"k":{"n":[1]},"l":"é"}`, `,"metadata":null`,
			`,"metadata":[1]`, `,"metadata":"s"`)
	}
	line := func() string { // an empty id names the run's own line
		return one("", "", "", `,"subagentRunId":"a"`, `,"subagentRunId":"b"`, `,"subagentRunId":""`)
	}
	message := func() string {
		role, calls := one("user", "user", "assistant", "tool", "reasoning"), ""
		if role == "assistant" && rng.IntN(2) == 0 {
			calls = fmt.Sprintf(`,"toolCalls":[{"id":%q,"type":"function","function":{"name":"n","arguments":"{"}}]`,
				id())
		}
		if role == "tool" {
			calls = fmt.Sprintf(`,"toolCallId":%q`, id())
		}
		own := one("", "", `,"subagentRunId":"a"`)
		return fmt.Sprintf(`{"id":%q,"role":%q,"content":%s%s%s%s}`, id(), role, quoted(text()), calls, metadata(), own)
	}
	all := []json.RawMessage{json.RawMessage(`{"type":"RUN_STARTED","input":{"threadId":"t","runId":"r",` +
		`"messages":[{"id":"u","role":"user","content":"hi"}]}}`)}
	for range 3 + rng.IntN(25) {
		var e string
		switch kind := one("TEXT_MESSAGE", "TEXT_MESSAGE", "REASONING_MESSAGE", "TOOL_CALL", "TOOL_CALL", "RESULT",
			"RUN_STARTED", "RUN_FINISHED"); kind {
		case "TEXT_MESSAGE", "REASONING_MESSAGE":
			e = fmt.Sprintf(`{"type":"%s_%s","messageId":%q,"delta":%s,"role":%q%s%s}`, kind,
				one("START", "CONTENT", "CONTENT", "END"), id(), quoted(text()),
				one("assistant", "user", ""), metadata(), line())
		case "TOOL_CALL":
			e = fmt.Sprintf(`{"type":"TOOL_CALL_%s","toolCallId":%q,"toolCallName":%q,"parentMessageId":%q,`+
				`"delta":%s%s%s}`,
				one("START", "ARGS", "ARGS", "END"), id(), one("n", "m"), id(), quoted(text()), metadata(), line())
		case "RESULT":
			e = fmt.Sprintf(`{"type":"TOOL_CALL_RESULT","messageId":%q,"toolCallId":%q,"content":%s%s%s}`,
				one("r1", "r2", id()), id(),
				one("null", quoted(text())), metadata(), line())
		case "RUN_STARTED":
			e = `{"type":"RUN_STARTED","input":{"threadId":"t","runId":"r","messages":[` +
				strings.Join([]string{message(), message()}[:1+rng.IntN(2)], ",") + `]}}`
		default:
			e = fmt.Sprintf(`{"type":%q}`, kind)
		}
		all = append(all, json.RawMessage(e))
	}
	return all
}

func quoted(s string) string {
	data, err := json.Marshal(s)
	if err != nil {
		return `""`
	}
	return string(data)
}
