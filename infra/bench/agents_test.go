package bench_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
)

// langgraphServer is the address of LangGraph's server.
type langgraphServer string

// conversation implements agentServer.
func (s langgraphServer) conversation(ctx context.Context, _ string) (conversation, error) {
	var thread struct {
		ID string `json:"thread_id"`
	}
	if err := postJSON(ctx, string(s)+"/threads", map[string]any{}, &thread); err != nil {
		return nil, err
	}
	return langgraphThread(string(s) + "/threads/" + thread.ID), nil
}

// langgraphThread is the address of a thread.
type langgraphThread string

// run implements conversation. It counts the words of the text messages that the model streams.
func (c langgraphThread) run(ctx context.Context) error {
	request := map[string]any{"assistant_id": "bench", "stream_mode": []string{"messages-tuple"},
		"input": map[string]any{"messages": []any{map[string]any{"role": "user", "content": "go on"}}}}
	var words []string
	err := streamEvents(ctx, string(c)+"/runs/stream", request, func(data []byte) error {
		var message []struct {
			Type    string
			Content any
		}
		if data[0] != '[' || json.Unmarshal(data, &message) != nil || len(message) == 0 {
			return nil // metadata of the run
		}
		if text, ok := message[0].Content.(string); ok && message[0].Type == "AIMessageChunk" {
			words = append(words, strings.Fields(text)...)
		}
		return nil
	})
	return errors.Join(err, checkWords(words))
}

// adkServer is the address of ADK's server.
type adkServer string

// conversation implements agentServer.
func (s adkServer) conversation(ctx context.Context, user string) (conversation, error) {
	var session struct{ ID string }
	err := postJSON(ctx, string(s)+"/apps/bench/users/"+user+"/sessions", map[string]any{}, &session)
	return adkSession{string(s), user, session.ID}, err
}

// adkSession is a session of ADK.
type adkSession struct{ url, user, id string }

// run implements conversation. It counts the words of the partial texts.
func (c adkSession) run(ctx context.Context) error {
	request := map[string]any{"appName": "bench", "userId": c.user, "sessionId": c.id, "streaming": true,
		"newMessage": map[string]any{"role": "user", "parts": []any{map[string]any{"text": "go on"}}}}
	var words []string
	err := streamEvents(ctx, c.url+"/run_sse", request, func(data []byte) error {
		var event struct {
			Partial      bool
			ErrorMessage string
			Content      struct{ Parts []struct{ Text string } }
		}
		if err := json.Unmarshal(data, &event); err != nil || event.ErrorMessage != "" {
			return fmt.Errorf("ADK sent %s: %w", data, err)
		}
		for _, p := range event.Content.Parts {
			if event.Partial {
				words = append(words, strings.Fields(p.Text)...)
			}
		}
		return nil
	})
	return errors.Join(err, checkWords(words))
}

// postJSON posts a value and decodes the response.
func postJSON(ctx context.Context, url string, body, into any) error {
	response, err := send(ctx, url, body)
	if err != nil {
		return err
	}
	return errors.Join(json.NewDecoder(response.Body).Decode(into), response.Body.Close())
}

// streamEvents posts a value and calls each with the data of each server-sent event of the response.
func streamEvents(ctx context.Context, url string, body any, each func(data []byte) error) error {
	response, err := send(ctx, url, body)
	if err != nil {
		return err
	}
	lines := bufio.NewScanner(response.Body)
	lines.Buffer(nil, 1<<20)
	for err == nil && lines.Scan() {
		if data, found := bytes.CutPrefix(lines.Bytes(), []byte("data: ")); found && len(data) > 0 {
			err = each(data)
		}
	}
	return errors.Join(err, lines.Err(), response.Body.Close())
}

// send posts a value as JSON. The response has a status below 300.
func send(ctx context.Context, url string, body any) (*http.Response, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	response, err := (&http.Client{Timeout: patience}).Do(r)
	if err != nil {
		return nil, err
	}
	if response.StatusCode >= http.StatusMultipleChoices {
		return nil, errors.Join(fmt.Errorf("POST %s: %s", url, response.Status), response.Body.Close())
	}
	return response, nil
}
