// Command adk serves an agent of Google's Agent Development Kit over its REST API, with sessions in memory, for
// benchmarks. Its model needs no network: it calls two tools and then streams 200 words.
//
// It prints one line of JSON with its address and ends with its standard input.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"google.golang.org/adk/agent"
	"google.golang.org/adk/agent/llmagent"
	"google.golang.org/adk/model"
	"google.golang.org/adk/server/adkrest"
	"google.golang.org/adk/session"
	"google.golang.org/adk/tool"
	"google.golang.org/adk/tool/functiontool"
	"google.golang.org/genai"
)

// words is the number of words that a run streams.
const words = 200

func main() {
	if err := serve(); err != nil {
		log.Fatal(err)
	}
}

func serve() error {
	calculator, err := functiontool.New(functiontool.Config{Name: "calculator", Description: "evaluates an expression"},
		func(_ tool.Context, in struct {
			Expression string `json:"expression"`
		}) (map[string]string, error) {
			return map[string]string{"result": "84"}, nil
		})
	if err != nil {
		return err
	}
	clock, err := functiontool.New(functiontool.Config{Name: "clock", Description: "returns the time"},
		func(_ tool.Context, in struct {
			Timezone string `json:"timezone"`
		}) (map[string]string, error) {
			return map[string]string{"time": time.Now().UTC().Format(time.RFC3339)}, nil
		})
	if err != nil {
		return err
	}
	a, err := llmagent.New(llmagent.Config{Name: "bench", Model: scripted{}, Description: "an agent for benchmarks",
		Tools: []tool.Tool{calculator, clock}})
	if err != nil {
		return err
	}
	server, err := adkrest.NewServer(adkrest.ServerConfig{AgentLoader: agent.NewSingleLoader(a),
		SessionService: session.InMemoryService(), SSEWriteTimeout: time.Minute})
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go func() { log.Fatal(http.Serve(listener, server)) }()
	address, err := json.Marshal(map[string]string{"url": "http://" + listener.Addr().String()})
	if err != nil {
		return err
	}
	fmt.Println(string(address))
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// scripted is the model.
type scripted struct{}

// Name implements model.LLM.
func (scripted) Name() string { return "scripted" }

// GenerateContent implements model.LLM. It answers by the number of tool results since the user's last message.
func (scripted) GenerateContent(_ context.Context, r *model.LLMRequest, _ bool) iter.Seq2[*model.LLMResponse, error] {
	results := 0
	for _, c := range r.Contents {
		for _, p := range c.Parts {
			switch {
			case p.FunctionResponse != nil:
				results++
			case p.Text != "" && c.Role == genai.RoleUser:
				results = 0
			}
		}
	}
	call := func(name, argument, value string) *model.LLMResponse {
		return &model.LLMResponse{TurnComplete: true, Content: &genai.Content{Role: genai.RoleModel, Parts: []*genai.Part{
			{FunctionCall: &genai.FunctionCall{Name: name, Args: map[string]any{argument: value}}}}}}
	}
	text := func(s string, partial bool) *model.LLMResponse {
		return &model.LLMResponse{Partial: partial, TurnComplete: !partial, Content: genai.NewContentFromText(s,
			genai.RoleModel)}
	}
	return func(yield func(*model.LLMResponse, error) bool) {
		switch results {
		case 0:
			yield(call("calculator", "expression", "12*7"), nil)
		case 1:
			yield(call("clock", "timezone", "UTC"), nil)
		default:
			var all strings.Builder
			for n := range words {
				word := fmt.Sprintf("%d ", n+1)
				all.WriteString(word)
				if !yield(text(word, true), nil) {
					return
				}
			}
			yield(text(all.String(), false), nil)
		}
	}
}
