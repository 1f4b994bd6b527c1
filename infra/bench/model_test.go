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

	"carrel/infra/local/stack"
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

// TestBenchModel measures the time from a provider's first word to the moment at which a window of the user has it:
// through turn's adapter, the engine, the log and a post. For comparison it reads the same streams directly.
func TestBenchModel(t *testing.T) {
	needsTime(t)
	provider := &stamped{sent: map[string]time.Time{}}
	server := httptest.NewServer(provider)
	t.Cleanup(server.Close)
	parameters := generous()
	parameters["Model"] = "openai:stamped"
	s := startStack(t, stack.Config{Parameters: parameters, TurnEnv: map[string]string{"OPENAI_BASE_URL": server.URL}})
	compare(t, modelWord, medianOf(throughTurn(t, s, provider)), medianOf(directly(server.URL, provider)))
}

// medianOf returns a trial: exchanges one after another. The figure is the median in milliseconds.
func medianOf(do exchange) func(*testing.T) sample {
	return func(t *testing.T) sample {
		t.Helper()
		var took times
		for range size(30, 3) {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			d, err := do(ctx)
			cancel()
			if err != nil {
				t.Fatal(err)
			}
			took = append(took, d)
		}
		return sample{Value: took.at(.5)}
	}
}

// directly reads the provider's stream as curl does.
func directly(url string, p *stamped) exchange {
	client := &http.Client{Timeout: 20 * time.Second}
	return func(ctx context.Context) (time.Duration, error) {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader("{}"))
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
func throughTurn(t *testing.T, s *stack.Stack, p *stamped) exchange {
	t.Helper()
	d := open(t, s.Endpoints(), "model-user", chat.ThreadID(chat.NewID(time.Now())))
	return func(ctx context.Context) (took time.Duration, err error) {
		run, err := d.ask(ctx, "hello")
		for err == nil && !d.holds(`"RUN_FINISHED"`) {
			if _, err = d.await(ctx, `"type":"events"`); took == 0 && d.holds("TEXT_MESSAGE_CONTENT") {
				took, _ = p.since(string(d.last), d.at)
			}
		}
		if err == nil && took == 0 {
			err = fmt.Errorf("run %s ended without a word", run)
		}
		if err == nil {
			_, err = settled(ctx, s, run) // the next run would start another process
		}
		d.last = nil
		return took, err
	}
}
