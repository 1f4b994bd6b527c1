package facts

import (
	"bytes"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// The context in tokens and the output of a model that the file does not know.
const (
	UnknownContext = 32 << 10
	LocalContext   = 8 << 10 // behind a loopback address, where servers often have no more
	UnknownOutput  = 4 << 10
)

// File is the content of models.yaml. It is immutable.
type File struct {
	endpoints []Endpoint
	models    map[string]Facts
}

// Endpoint is an address at which models are called.
type Endpoint struct {
	Name   string
	API    API
	URL    string // "" for Converse: the Region's own
	Key    string // the name of its key in the secret, and in upper case with _API_KEY of its variable; default Name
	Auth   Auth
	Query  string // added to each address
	Quirks Quirks
}

// API is the API of an endpoint.
type API string

// The APIs.
const (
	Chat      API = "chat"
	Responses API = "responses"
	Messages  API = "messages"
	Converse  API = "converse" // of Bedrock; only the endpoint bedrock has it
)

// Auth says how a request has the key.
type Auth string

// The values of Auth.
const (
	Bearer Auth = "bearer"
	APIKey Auth = "api-key" // in the header api-key
	NoAuth Auth = "none"
)

// Parse reads models.yaml. The error names every fault of the file.
func Parse(text []byte) (*File, error) {
	var raw struct {
		Endpoints []struct {
			Name   string    `yaml:"name"`
			API    API       `yaml:"api"`
			URL    string    `yaml:"url"`
			Key    string    `yaml:"key"`
			Auth   Auth      `yaml:"auth"`
			Query  string    `yaml:"query"`
			Quirks yaml.Node `yaml:"quirks"`
		} `yaml:"endpoints"`
		Models map[string]Facts `yaml:"models"`
	}
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&raw); err != nil {
		return nil, fmt.Errorf("read models.yaml: %w", err)
	}
	f := &File{models: raw.Models}
	var errs []error
	for _, e := range raw.Endpoints {
		quirks, err := readQuirks(e.Quirks)
		x := Endpoint{Name: e.Name, API: e.API, URL: e.URL, Key: e.Key, Auth: e.Auth, Query: e.Query, Quirks: quirks}
		if err = errors.Join(err, x.check()); err != nil {
			errs = append(errs, fmt.Errorf("models.yaml, endpoint %q: %w", e.Name, err))
		}
		if _, twice := f.Endpoint(e.Name); twice {
			errs = append(errs, fmt.Errorf("models.yaml, endpoint %q: the name is used twice", e.Name))
		}
		f.endpoints = append(f.endpoints, x)
	}
	for name, m := range raw.Models {
		if !slices.Contains([]Thinks{Never, Asked, Always}, m.Thinks) {
			errs = append(errs, fmt.Errorf("models.yaml, model %q: thinks must be asked or always, not %q", name,
				m.Thinks))
		}
		if m.Context < 0 || m.Output < 0 || m.Output > m.Context {
			errs = append(errs, fmt.Errorf("models.yaml, model %q: output must be at most context", name))
		}
	}
	return f, errors.Join(errs...)
}

// readQuirks reads the name of a preset or the quirks themselves.
func readQuirks(n yaml.Node) (q Quirks, err error) {
	switch n.Kind {
	case 0:
		return Quirks{}, nil
	case yaml.ScalarNode:
		q, ok := Preset(n.Value)
		if !ok {
			return q, fmt.Errorf("quirks must be openai, azure, gemini, vllm, ollama, llamacpp or a list of quirks, "+
				"not %q", n.Value)
		}
		return q, nil
	}
	text, err := yaml.Marshal(&n)
	if err == nil {
		d := yaml.NewDecoder(bytes.NewReader(text))
		d.KnownFields(true)
		err = d.Decode(&q)
	}
	return q, err
}

// check sets an endpoint's defaults and returns its faults.
func (e *Endpoint) check() error {
	var errs []error
	fail := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if !regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`).MatchString(e.Name) {
		fail("a name has at most 32 lower-case letters, digits and hyphens")
	}
	if !slices.Contains([]API{Chat, Responses, Messages, Converse}, e.API) {
		fail("api must be chat, responses, messages or converse, not %q", e.API)
	}
	if e.Auth == "" {
		e.Auth = Bearer
	}
	if !slices.Contains([]Auth{Bearer, APIKey, NoAuth}, e.Auth) {
		fail("auth must be bearer, api-key or none, not %q", e.Auth)
	}
	if e.Key == "" {
		e.Key = e.Name
	}
	u, err := url.Parse(e.URL)
	switch {
	case e.API == Converse && e.URL == "":
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		fail("url must begin with https:// or http://, not %q", e.URL)
	case u.User != nil:
		fail("url must not have a password: the key belongs to the secret")
	}
	return errors.Join(errs...)
}

// Variable is the environment variable that has the endpoint's key on a developer's machine.
func (e Endpoint) Variable() string {
	return strings.ToUpper(strings.ReplaceAll(e.Key, "-", "_")) + "_API_KEY"
}

// Local reports whether the endpoint is on this machine.
func (e Endpoint) Local() bool {
	u, err := url.Parse(e.URL)
	if err != nil {
		return false
	}
	host := u.Hostname()
	return host == "localhost" || host == "::1" || strings.HasPrefix(host, "127.")
}

// Endpoint returns the endpoint of that name.
func (f *File) Endpoint(name string) (Endpoint, bool) {
	for _, e := range f.endpoints {
		if e.Name == name {
			return e, true
		}
	}
	return Endpoint{}, false
}

// Endpoints returns the names of the endpoints.
func (f *File) Endpoints() []string {
	var names []string
	for _, e := range f.endpoints {
		names = append(names, e.Name)
	}
	return names
}

// Model returns the facts of a model. The longest name in the file that the model's name begins with counts. A Bedrock
// profile before the name does not belong to it. A model that the file does not know has a small context and nothing
// else.
func (f *File) Model(e Endpoint, model string) Facts {
	model = WithoutProfile(model)
	best, found := "", Facts{}
	for name, m := range f.models {
		if strings.HasPrefix(model, name) && len(name) > len(best) {
			best, found = name, m
		}
	}
	if found.Context == 0 {
		found.Context = UnknownContext
		if e.Local() {
			found.Context = LocalContext
		}
	}
	if found.Output == 0 {
		found.Output = UnknownOutput
	}
	return found
}

// WithoutProfile returns a Bedrock model's name without its inference profile: a prefix such as eu., or an ARN.
func WithoutProfile(model string) string {
	if strings.HasPrefix(model, "arn:") {
		model = model[strings.LastIndex(model, "/")+1:]
	}
	for _, profile := range []string{"us.", "eu.", "apac.", "global.", "us-gov.", "jp.", "au."} {
		if rest, ok := strings.CutPrefix(model, profile); ok {
			return rest
		}
	}
	return model
}
