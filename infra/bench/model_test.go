package bench_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"carrel/infra/local/stack"
	"carrel/infra/testkit"
	"carrel/shared/chat"
)

// stamped is a provider that speaks Chat Completions. Each answer is one word that names its number, and the provider
// records when it sent the word.
type stamped struct {
	mu   sync.Mutex
	sent map[string]time.Time
	n    int
}

// ServeHTTP streams one answer.
func (s *stamped) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	frame := func(delta, finish string) {
		_, _ = fmt.Fprintf(w, "data: {\"choices\":[{\"index\":0,\"delta\":{%s},\"finish_reason\":%s}]}\n\n", delta,
			finish)
		_ = http.NewResponseController(w).Flush() // a client that has gone measures nothing
	}
	frame(`"role":"assistant"`, "null")
	s.mu.Lock()
	s.n++
	word := fmt.Sprintf("word-%d.", s.n)
	s.sent[word] = time.Now()
	s.mu.Unlock()
	frame(`"content":"`+word+`"`, "null")
	frame("", `"stop"`)
	_, _ = io.WriteString(w, "data: [DONE]\n\n")
}

// since returns the time since the last word in a text was sent.
func (s *stamped) since(text string, now time.Time) (time.Duration, bool) {
	at := strings.LastIndex(text, "word-")
	if at < 0 {
		return 0, false
	}
	word, _, ok := strings.Cut(text[at:], ".")
	s.mu.Lock()
	defer s.mu.Unlock()
	sent, known := s.sent[word+"."]
	return now.Sub(sent), ok && known
}

// BenchmarkModelFirstDelta measures the time from the provider's first word to the moment at which a window of the user
// has it: through turn's adapter, the engine, the log and a post. For comparison it reads the same streams directly.
//
//	go test ./infra/bench -run - -bench ModelFirstDelta -benchtime 1x
func BenchmarkModelFirstDelta(b *testing.B) {
	provider := &stamped{sent: map[string]time.Time{}}
	server := httptest.NewServer(provider)
	b.Cleanup(server.Close)
	parameters := generous()
	parameters["Model"] = "openai:stamped"
	e := new(testkit.Kit).Start(b, stack.Config{Parameters: parameters,
		TurnEnv: map[string]string{"OPENAI_BASE_URL": server.URL}}).Endpoints()
	for b.Loop() {
		report(b, "direct", 1, func(int) exchange { return directly(b, server.URL, provider) })
		report(b, "first-delta", 1, func(i int) exchange { return throughTurn(b, e, i, provider) })
	}
}

// directly reads the provider's stream as curl does.
func directly(b *testing.B, url string, p *stamped) exchange {
	client := &http.Client{Timeout: 20 * time.Second}
	return func() (time.Duration, error) {
		r, err := http.NewRequestWithContext(b.Context(), http.MethodPost, url, strings.NewReader("{}"))
		if err != nil {
			return 0, err
		}
		answered, err := client.Do(r)
		if err != nil {
			return 0, err
		}
		defer func() { _ = answered.Body.Close() }() // it was read
		var text []byte
		buffer := make([]byte, 4096)
		for {
			n, err := answered.Body.Read(buffer)
			text = append(text, buffer[:n]...)
			if took, ok := p.since(string(text), time.Now()); ok {
				_, _ = io.Copy(io.Discard, answered.Body)
				return took, nil
			}
			if err != nil {
				return 0, fmt.Errorf("the stream has no word: %w", err)
			}
		}
	}
}

// throughTurn starts runs on one thread and waits for the word of each.
func throughTurn(b *testing.B, e stack.Endpoints, i int, p *stamped) exchange {
	c := dial(b, e, fmt.Sprint("model-user-", i))
	thread, n := chat.NewID(time.Now()), 0
	return func() (took time.Duration, err error) {
		ctx, cancel := context.WithTimeout(b.Context(), 20*time.Second)
		defer cancel()
		n++
		frame := fmt.Sprintf(`{"type":"run","n":%d,"runId":"%s.%[1]d","threadId":"%[2]s","messages":[`+
			`{"id":"%[2]s.%[1]d.1","role":"user","content":"hello"}]}`, n, thread)
		if err := c.Write(ctx, websocket.MessageText, []byte(frame)); err != nil {
			return 0, err
		}
		for done := false; !done; {
			_, m, err := c.Read(ctx)
			if err != nil {
				return 0, err
			}
			if took == 0 && strings.Contains(string(m), "TEXT_MESSAGE_CONTENT") {
				took, _ = p.since(string(m), time.Now())
			}
			done = strings.Contains(string(m), "RUN_FINISHED")
		}
		if took == 0 {
			return 0, fmt.Errorf("run %d ended without a word", n)
		}
		return took, nil
	}
}
