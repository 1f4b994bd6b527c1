// Package models makes the models that agents name: it chooses provider, endpoint and key. Start with New.
package models

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"carrel/shared/engine"
	"carrel/shared/model/anthropic"
	"carrel/shared/model/bedrock"
	"carrel/shared/model/facts"
	"carrel/shared/model/internal/adapter"
	"carrel/shared/model/internal/exchange"
	"carrel/shared/model/internal/secret"
	"carrel/shared/model/openai"
	"carrel/shared/model/scripted"
)

// The roles that an agent may name in place of a model.
const (
	RoleDefault = "default"
	RoleCheap   = "cheap"
)

// Scripted is the name of the built-in model without a network.
const Scripted = "scripted"

// Config describes a deployment's models.
type Config struct {
	File []byte // models.yaml
	// Getenv reads the variables of the roles and of the providers: MODEL, CHEAP_MODEL and FALLBACK_MODELS, which
	// default to the built-in model; OPENAI_BASE_URL and ANTHROPIC_BASE_URL, which replace the addresses of openai and
	// anthropic; LOG_PROVIDER_TEXT, which is on or off; and the keys of the endpoints.
	Getenv func(name string) string
	// AWS has Region and credentials, for Bedrock and for the secret that PROVIDER_SECRET names. Its HTTP client must
	// not bound the time of an answer.
	AWS aws.Config
	Now func() time.Time
	Log *slog.Logger
}

// Models are the models of a deployment. They are immutable and safe for concurrent use.
type Models struct {
	c         Config
	file      *facts.File
	client    *http.Client
	logText   bool
	fallbacks []string
	secret    *secret.Secret // nil: the keys are environment variables
}

// New reads the configuration. It makes no request.
func New(c Config) (*Models, error) {
	file, err := facts.Parse(c.File)
	if err != nil {
		return nil, err
	}
	m := &Models{c: c, file: file, client: exchange.NewClient(), fallbacks: list(c.Getenv("FALLBACK_MODELS"))}
	var errs []error
	switch text := c.Getenv("LOG_PROVIDER_TEXT"); text {
	case "on":
		m.logText = true
	case "", "off":
	default:
		errs = append(errs, fmt.Errorf("LOG_PROVIDER_TEXT must be on or off, not %q", text))
	}
	if api := facts.API(c.Getenv("OPENAI_API")); api != "" && api != facts.Chat && api != facts.Responses {
		errs = append(errs, fmt.Errorf("OPENAI_API must be %s or %s, not %q", facts.Chat, facts.Responses, api))
	}
	if arn := c.Getenv("PROVIDER_SECRET"); arn != "" {
		m.secret, err = secret.New(c.AWS, arn, c.Getenv("AWS_ENDPOINT_URL_SECRETS_MANAGER"), c.Now)
		if err != nil {
			errs = append(errs, fmt.Errorf("PROVIDER_SECRET: %w", err))
		}
	}
	return m, errors.Join(errs...)
}

// list splits a list at spaces and commas.
func list(text string) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == ' ' || r == ',' })
}

// Candidates returns the models of an agent: the first answers, the others replace it. A name is a role or
// provider:model. The role default has the deployment's fallbacks behind it. The error names all that is missing.
func (m *Models) Candidates(names ...string) ([]engine.Candidate, error) {
	var chosen []string
	for _, name := range names {
		switch name {
		case RoleDefault:
			chosen = append(append(chosen, m.role("MODEL")), m.fallbacks...)
		case RoleCheap:
			cheap := m.c.Getenv("CHEAP_MODEL")
			if cheap == "" {
				cheap = m.role("MODEL")
			}
			chosen = append(chosen, cheap)
		default:
			chosen = append(chosen, name)
		}
	}
	var all []engine.Candidate
	var errs []error
	for i, name := range chosen {
		if slices.Contains(chosen[:i], name) {
			continue
		}
		c, err := m.candidate(name)
		if err != nil {
			errs = append(errs, fmt.Errorf("the model %s: %w", name, err))
		}
		all = append(all, c)
	}
	return all, errors.Join(errs...)
}

func (m *Models) role(variable string) string {
	if name := m.c.Getenv(variable); name != "" {
		return name
	}
	return Scripted
}

// candidate makes one model.
func (m *Models) candidate(name string) (engine.Candidate, error) {
	if name == Scripted {
		return engine.Candidate{Model: scripted.New(scripted.Config{}), Name: Scripted}, nil
	}
	provider, model, ok := strings.Cut(name, ":")
	if !ok || model == "" {
		return engine.Candidate{}, fmt.Errorf("write provider:model, such as openai:gpt-5, or %s", Scripted)
	}
	e, ok := m.endpoint(provider)
	if !ok {
		return engine.Candidate{}, fmt.Errorf("models.yaml has no endpoint %q; it has %s", provider,
			strings.Join(m.file.Endpoints(), ", "))
	}
	f := m.file.Model(e, model)
	key, err := m.key(e)
	if err != nil {
		return engine.Candidate{}, err
	}
	common := adapter.Config{Provider: e.Name, Model: model, URL: e.URL, Key: key, Facts: f, Client: m.client,
		Log: m.c.Log, LogText: m.logText}
	c := engine.Candidate{Name: name, Context: f.Context, MaxOutput: f.Output, Silent: f.Silent}
	switch e.API {
	case facts.Chat, facts.Responses:
		config := openai.Config{Config: common, Responses: e.API == facts.Responses, Query: e.Query, Quirks: e.Quirks}
		if e.Auth == facts.APIKey {
			config.KeyName = "Api-Key"
		}
		c.Model = openai.New(config)
	case facts.Messages:
		c.Model = anthropic.New(anthropic.Config{Config: common})
	case facts.Converse:
		c.Model = bedrock.New(bedrock.Config{Provider: e.Name, Model: model, AWS: m.c.AWS, URL: e.URL, Facts: f,
			Log: m.c.Log, LogText: m.logText})
	}
	return c, nil
}

// endpoint returns an endpoint. OPENAI_BASE_URL makes openai any server that speaks Chat Completions, or Responses if
// OPENAI_API says so.
func (m *Models) endpoint(name string) (facts.Endpoint, bool) {
	e, ok := m.file.Endpoint(name)
	if base := m.c.Getenv("OPENAI_BASE_URL"); ok && name == "openai" && base != "" {
		e.URL = strings.TrimSuffix(base, "/")
		if facts.API(m.c.Getenv("OPENAI_API")) != facts.Responses {
			e.API = facts.Chat
			e.Quirks, _ = facts.Preset("vllm")
		}
	}
	if base := m.c.Getenv("ANTHROPIC_BASE_URL"); ok && name == "anthropic" && base != "" {
		e.URL = strings.TrimSuffix(base, "/")
	}
	return e, ok
}

// key returns what fetches the key of an endpoint, or nil if it needs none.
func (m *Models) key(e facts.Endpoint) (exchange.Key, error) {
	if e.Auth == facts.NoAuth || e.API == facts.Converse {
		return nil, nil
	}
	if m.secret != nil {
		return func(ctx context.Context, fresh bool) (string, error) { return m.secret.Key(ctx, e.Key, fresh) }, nil
	}
	key := m.c.Getenv(e.Variable())
	if key == "" {
		if e.Local() {
			return nil, nil
		}
		return nil, fmt.Errorf("%s: the environment variable is not set, and the endpoint %s needs a key; on AWS, the "+
			"parameter ProviderSecret names a secret with it", e.Variable(), e.Name)
	}
	return func(context.Context, bool) (string, error) { return key, nil }, nil
}
