package mcp

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Server is one server as the deployment's file declares it.
type Server struct {
	Name string `yaml:"-"`

	URL   string   `yaml:"url"`
	Grant string   `yaml:"grant"` // of the user's token; without the field, the server's name
	Tools []string `yaml:"tools"` // the allowed tools, by names or patterns of path.Match
	// The tools that only read, and the tools of which a second call with the same key does no more than the first.
	// Only the file says so, because a server could say it about any tool.
	ReadOnly   []string `yaml:"readOnly"`
	Idempotent []string `yaml:"idempotent"`
	Ask        Ask      `yaml:"ask"`
	Stateful   bool     `yaml:"stateful"` // a session of the server holds state, which is lost with the session
	Trusted    bool     `yaml:"trusted"`  // results are not marked as text from outside

	Credentials Kind   `yaml:"credentials"`
	Secret      string `yaml:"secret"`  // the environment variable that holds the key, with the kind secret
	Header      string `yaml:"header"`  // the header that carries it; without the field, Authorization: Bearer
	Service     string `yaml:"service"` // the AWS service that the request is signed for, with the kind sigv4
	Region      string `yaml:"region"`  // its Region; without the field, the deployment's
}

// Ask says which calls a person must approve.
type Ask string

// The values of Ask.
const (
	AskAlways Ask = "always"
	AskWrites Ask = "writes" // the default: all tools that are not listed as readOnly
	AskNever  Ask = "never"  // only tools that the server itself calls destructive
)

// Kind is a kind of credentials.
type Kind string

// The kinds of credentials.
const (
	None   Kind = "none"   // the default: requests carry nothing
	Secret Kind = "secret" // a key of the deployment
	SigV4  Kind = "sigv4"  // requests are signed as the user
)

// Parse reads the deployment's file. The error has one line for each mistake, with the line of the file.
func Parse(file []byte) ([]Server, error) {
	var all struct {
		Servers yaml.Node `yaml:"servers"`
	}
	decoder := yaml.NewDecoder(bytes.NewReader(file))
	decoder.KnownFields(true)
	if err := decoder.Decode(&all); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("mcp.yaml: %w", explain(err))
	}
	if all.Servers.Kind != 0 && all.Servers.Kind != yaml.MappingNode && all.Servers.Tag != "!!null" {
		return nil, fmt.Errorf("mcp.yaml:%d: servers: write one entry per server: its name, a colon, and its fields",
			all.Servers.Line)
	}
	var servers []Server
	var mistakes []error
	for i := 0; i+1 < len(all.Servers.Content); i += 2 {
		name, fields := all.Servers.Content[i], all.Servers.Content[i+1]
		s, err := decodeServer(name.Value, fields)
		if err == nil {
			err = s.check()
		}
		if err == nil && slices.ContainsFunc(servers, func(other Server) bool { return other.Name == s.Name }) {
			err = errors.New("the name is used twice")
		}
		if err != nil {
			mistakes = append(mistakes, fmt.Errorf("mcp.yaml:%d: server %s: %w", name.Line, name.Value, err))
		}
		servers = append(servers, s)
	}
	return servers, errors.Join(mistakes...)
}

// decodeServer decodes the fields of one server. An unknown field is an error.
func decodeServer(name string, fields *yaml.Node) (Server, error) {
	s := Server{Name: name, Grant: name, Ask: AskWrites, Credentials: None}
	text, err := yaml.Marshal(fields)
	if err != nil {
		return s, err
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&s); err != nil {
		return s, explain(err)
	}
	return s, nil
}

// explain rewrites the decoder's errors without line numbers and Go types.
func explain(err error) error {
	var typed *yaml.TypeError
	if !errors.As(err, &typed) {
		return err
	}
	unknown, line := regexp.MustCompile(`field (\S+) not found in type \S+`), regexp.MustCompile(`^line \d+: `)
	var all []string
	for _, text := range typed.Errors {
		text = unknown.ReplaceAllString(line.ReplaceAllString(text, ""),
			"the field $1 is unknown; docs/mcp.md lists the fields")
		all = append(all, text)
	}
	return errors.New(strings.Join(all, "; "))
}

// check returns the first mistake in the fields of a server.
func (s Server) check() error {
	switch {
	case !regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`).MatchString(s.Name):
		return errors.New("a name has 1 to 32 lower-case letters, digits and hyphens, and begins with a letter")
	case s.Name == "my" || strings.HasPrefix(s.Name, "my-"):
		return errors.New("names that begin with my are kept for servers that a user connects")
	case s.Grant == "":
		return errors.New("grant: it is empty; leave the field out to use the server's name")
	case len(s.Tools) == 0:
		return errors.New(`tools: list the tools that may be called, or write ["*"] for all of them`)
	case !slices.Contains([]Ask{AskAlways, AskWrites, AskNever}, s.Ask):
		return fmt.Errorf("ask: it is %q; write always, writes or never", s.Ask)
	}
	for _, pattern := range slices.Concat(s.Tools, s.ReadOnly, s.Idempotent) {
		if _, err := path.Match(pattern, ""); err != nil || pattern == "" {
			return fmt.Errorf("the pattern %q is not valid", pattern)
		}
	}
	if err := s.checkURL(); err != nil {
		return fmt.Errorf("url: %w", err)
	}
	return s.checkCredentials()
}

// checkURL refuses an address that is incomplete or holds credentials. Credentials travel over https only, unless the
// server runs on this machine.
func (s Server) checkURL() error {
	u, err := url.Parse(s.URL)
	switch {
	case s.URL == "":
		return errors.New("it is missing")
	case err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http":
		return fmt.Errorf("%q is not an address such as https://example.com/mcp", s.URL)
	case u.User != nil || u.Fragment != "":
		return errors.New("it has a user name or a fragment; name a secret instead")
	case u.Scheme == "http" && s.Credentials != None && !local(u.Hostname()):
		return errors.New("credentials need https")
	}
	return nil
}

func (s Server) checkCredentials() error {
	switch {
	case !slices.Contains([]Kind{None, Secret, SigV4}, s.Credentials):
		return fmt.Errorf("credentials: it is %q; write none, secret or sigv4", s.Credentials)
	case (s.Credentials == Secret) != (s.Secret != ""):
		return errors.New("secret: write it with credentials: secret, and only then")
	case s.Secret != "" && !regexp.MustCompile(`^[A-Z][A-Z0-9_]*_API_KEY$`).MatchString(s.Secret):
		return fmt.Errorf("secret: %q is not the name of an environment variable such as GIT_API_KEY", s.Secret)
	case s.Credentials != Secret && s.Header != "":
		return errors.New("header: write it with credentials: secret only")
	case (s.Credentials == SigV4) != (s.Service != ""):
		return errors.New("service: write lambda or bedrock-agentcore with credentials: sigv4, and only then")
	case s.Service != "" && s.Service != "lambda" && s.Service != "bedrock-agentcore":
		return fmt.Errorf("service: it is %q; write lambda or bedrock-agentcore", s.Service)
	case s.Credentials != SigV4 && s.Region != "":
		return errors.New("region: write it with credentials: sigv4 only")
	}
	return nil
}

// local reports whether a host is this machine.
func local(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.IsLoopback()
}

// has reports whether a list of names and patterns has the tool.
func has(patterns []string, tool string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		ok, err := path.Match(pattern, tool)
		return err == nil && ok
	})
}
