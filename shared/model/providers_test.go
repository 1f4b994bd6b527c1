package model_test

import (
	"context"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"carrel/shared/awsenv"
	"carrel/shared/engine"
	"carrel/shared/model/anthropic"
	"carrel/shared/model/bedrock"
	"carrel/shared/model/facts"
	"carrel/shared/model/internal/adapter"
	"carrel/shared/model/modeltest"
	"carrel/shared/model/openai"
)

// secret is the key of the tests. prompt is what their users write.
const (
	secret = "sk-test-0123456789abcdef"
	prompt = "the-user-wrote-this"
)

// provider is one adapter beside the strict server of its wire.
type provider struct {
	name string
	wire modeltest.Wire
	make func(url string, f facts.Facts, logText bool) engine.Model
	over func(c *http.Client) engine.Model // with this client
	// code returns the provider's word for a failure.
	throttled, overloaded, tooLong, noModel string
	invalid, notAllowed, wrongKey           string // "": OpenAI's words
	keeps                                   bool   // it sends data that later calls need
	prefix                                  string // of that data
}

func key(context.Context, bool) (string, error) { return secret, nil }

// model returns the test model of a provider.
func model(provider string) adapter.Config {
	return adapter.Config{Provider: provider, Model: modeltest.Model, Key: key}
}

// chat returns a provider that speaks Chat Completions with these quirks.
func chat(preset string) provider {
	q, _ := facts.Preset(preset)
	c := openai.Config{Config: model(preset), Quirks: q}
	return provider{name: "chat " + preset, wire: modeltest.Chat, keeps: preset == "gemini",
		throttled: "rate_limit_exceeded", overloaded: "server_error", tooLong: "context_length_exceeded",
		noModel: "model_not_found", make: func(url string, f facts.Facts, logText bool) engine.Model {
			c := c
			c.URL, c.Facts, c.LogText = url+"/v1", f, logText
			return openai.New(c)
		}, over: func(client *http.Client) engine.Model {
			c := c
			c.URL, c.Client = "http://model.test", client
			return openai.New(c)
		}}
}

func providers() []provider {
	var all []provider
	for _, preset := range []string{"openai", "azure", "gemini", "vllm", "ollama", "llamacpp"} {
		all = append(all, chat(preset))
	}
	all = append(all, responses(), messages(), converse())
	return all
}

// responses returns the provider that speaks OpenAI's Responses.
func responses() provider {
	p := chat("openai")
	p.name, p.wire, p.keeps, p.prefix = "responses", modeltest.Responses, true, "openai/"+modeltest.Model+"@v1:"
	c := openai.Config{Config: model("openai"), Responses: true}
	c.Quirks, _ = facts.Preset("openai")
	p.make = func(url string, f facts.Facts, logText bool) engine.Model {
		c := c
		c.URL, c.Facts, c.LogText = url+"/v1", f, logText
		return openai.New(c)
	}
	p.over = func(client *http.Client) engine.Model {
		c := c
		c.URL, c.Client = "http://model.test", client
		return openai.New(c)
	}
	return p
}

// converse returns the provider that speaks Bedrock's ConverseStream.
func converse() provider {
	model := func(url string, client aws.HTTPClient, f facts.Facts, logText bool) engine.Model {
		return bedrock.New(bedrock.Config{Provider: "bedrock", Model: "eu." + modeltest.Model, URL: url, Facts: f,
			LogText: logText, AWS: aws.Config{Region: "eu-central-1", HTTPClient: client,
				Credentials: credentials.NewStaticCredentialsProvider("AKIAIOSFODNN7EXAMPLE", secret, "")}})
	}
	return provider{name: "converse", wire: modeltest.Converse, keeps: true,
		prefix: "bedrock/" + modeltest.Model + "@v1:", throttled: "ThrottlingException",
		overloaded: "InternalServerException", tooLong: "ValidationException", noModel: "ResourceNotFoundException",
		invalid: "ValidationException", notAllowed: "AccessDeniedException", wrongKey: "UnrecognizedClientException",
		make: func(url string, f facts.Facts, logText bool) engine.Model {
			return model(url, awsenv.Streaming(aws.Config{}).HTTPClient, f, logText)
		}, over: func(client *http.Client) engine.Model {
			return model("http://model.test", client, facts.Facts{}, false)
		}}
}

// messages returns the provider that speaks Anthropic's Messages.
func messages() provider {
	c := anthropic.Config{Config: model("anthropic")}
	return provider{name: "messages", wire: modeltest.Messages, keeps: true,
		prefix: "anthropic/" + modeltest.Model + "@v1:", throttled: "rate_limit_error",
		overloaded: "overloaded_error", tooLong: "invalid_request_error", noModel: "not_found_error",
		make: func(url string, f facts.Facts, logText bool) engine.Model {
			c := c
			c.URL, c.Facts, c.LogText = url+"/v1", f, logText
			return anthropic.New(c)
		}, over: func(client *http.Client) engine.Model {
			c := c
			c.URL, c.Client = "http://model.test", client
			return anthropic.New(c)
		}}
}

// everything has all features.
func everything() facts.Facts {
	return facts.Facts{Context: 200000, Output: 64000, Thinks: facts.Asked, ForcedTools: true, Schema: true,
		Cache: true, Images: true, Documents: true}
}
