package fetch

import (
	"fmt"
	"strings"
)

// Config says whether runs may read pages, and which.
type Config struct {
	On bool // the deployment has the tool
	// Hosts may be read without a question. *.example.com stands for the hosts below example.com.
	Hosts []string
	// Loopback allows http and addresses of this machine. It is for tests and a developer's machine.
	Loopback bool
	// RuntimePort is the port of Lambda's runtime API, which no request reaches; 0: none.
	RuntimePort int
}

// Parse reads a Config from a text: "off" or nothing, "on", or the hosts that may be read without a question, separated
// by commas.
func Parse(text string) (Config, error) {
	switch text {
	case "", "off":
		return Config{}, nil
	case "on":
		return Config{On: true}, nil
	}
	c := Config{On: true}
	for _, host := range strings.Split(text, ",") {
		if !isHost(strings.TrimPrefix(host, "*.")) {
			return Config{}, fmt.Errorf("%q is neither off, nor on, nor a host such as docs.example.com or "+
				"*.example.com", host)
		}
		c.Hosts = append(c.Hosts, host)
	}
	return c, nil
}

// isHost reports whether a text is the name of a public host, in lower case.
func isHost(s string) bool {
	other := func(c rune) bool { return (c < 'a' || 'z' < c) && (c < '0' || '9' < c) && c != '-' && c != '.' }
	return strings.Contains(s, ".") && !strings.ContainsFunc(s, other) && !strings.Contains("."+s+".", "..")
}

// allows reports whether a host may be read without a question.
func (c Config) allows(host string) bool {
	for _, h := range c.Hosts {
		if below, ok := strings.CutPrefix(h, "*"); h == host || ok && strings.HasSuffix(host, below) {
			return true
		}
	}
	return false
}
