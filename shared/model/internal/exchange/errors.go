package exchange

import (
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"carrel/shared/chars"
	"carrel/shared/engine"
)

// Said is what a provider says about a failure.
type Said struct {
	Status     int // of HTTP; 0: the failure came inside a stream
	Code, Type string
	RequestID  string
	After      time.Duration
	Text       string // may repeat the prompt and the key
	broken     bool   // it is not JSON
}

// Fail returns an error of the endpoint. what says what failed; "" if the provider says it itself.
func (e Endpoint) Fail(kind engine.Kind, what string, s Said) error {
	parts := []string{e.Provider + "/" + e.Model}
	if what != "" {
		parts = append(parts, what)
	}
	if s.Status != 0 {
		parts = append(parts, fmt.Sprintf("status %d", s.Status))
	}
	for _, v := range []struct{ name, value string }{{"code", s.Code}, {"type", s.Type}, {"request id", s.RequestID}} {
		if isWord(v.value) {
			parts = append(parts, v.name+" "+v.value)
		}
	}
	if name := parameter(s.Text); kind == engine.Invalid && name != "" {
		parts = append(parts, "unsupported parameter "+name+", see the quirks of its endpoint in models.yaml")
	}
	if e.LogText && s.Text != "" {
		parts = append(parts, fmt.Sprintf("the provider's text: %q", withoutKeys(s.Text)))
	}
	return &engine.ModelError{Kind: kind, After: s.After, Cause: fmt.Errorf("%s", strings.Join(parts, ", "))}
}

// InStream returns the error for a failure that the provider reports inside a stream.
func (e Endpoint) InStream(s Said) error {
	return e.Fail(s.kind(), "the stream reports an error", s)
}

// isWord reports whether a code can hold no prompt and no key.
func isWord(code string) bool {
	return regexp.MustCompile(`^[a-zA-Z0-9_.:-]{1,64}$`).MatchString(code) && !keyLike(code)
}

// keyLike reports whether a word may be a key: keys of providers are long or begin with a known prefix.
func keyLike(word string) bool {
	return regexp.MustCompile(`(?i)^(sk|xai|gsk|key|bearer)[-_:]|^AIza|^AKIA|^ASIA`).MatchString(word)
}

// withoutKeys cuts a provider's text to 300 bytes and removes what resembles a key.
func withoutKeys(text string) string {
	text = regexp.MustCompile(`(?i)(bearer +)?[a-z0-9+/=_.-]{20,}|\b(sk|xai|gsk|key)[-_][^\s"]+|bearer +[^\s"]+`).
		ReplaceAllString(text, "[removed]")
	return chars.Head(text, 300)
}

// parameter returns the parameter that an error calls unsupported, or "".
func parameter(text string) string {
	m := regexp.MustCompile(`(?i)(?:unsupported (?:parameter|value)|unrecognized request argument supplied|unknown ` +
		`parameter|extra inputs are not permitted)[:' ]+([a-z_.]{2,40})`).FindStringSubmatch(text)
	if m == nil {
		return ""
	}
	return m[1]
}

// kind classifies a failure by status, code and type. A failure inside a stream has no status.
func (s Said) kind() engine.Kind {
	word := strings.ToLower(s.Code + " " + s.Type)
	has := func(words ...string) bool {
		for _, w := range words {
			if strings.Contains(word, w) {
				return true
			}
		}
		return false
	}
	switch {
	case s.Status >= 300 && s.Status < 400, has("insufficient_quota", "billing", "credit", "model_not_found",
		"deprecated"):
		return engine.Refused
	case has("context_length", "context_window", "too_long") || tooLong(s.Status, s.Text):
		return engine.TooLong
	case s.Status == http.StatusTooManyRequests, has("rate_limit", "throttl", "too_many_requests"):
		return engine.Throttled
	case s.Status == 401, s.Status == 403, s.Status == 404,
		has("authentication", "permission", "not_found", "invalid_api_key"):
		return engine.Refused
	case s.Status >= 500, s.Status == http.StatusRequestTimeout, s.Status == http.StatusConflict, s.broken:
		return engine.Overloaded
	case s.Status >= 400, has("invalid_request", "validation"):
		return engine.Invalid
	}
	return engine.Overloaded
}

// tooLong reports whether a 400 or 413 says that the input does not fit. Providers other than OpenAI have no code for
// it.
func tooLong(status int, text string) bool {
	if status != http.StatusBadRequest && status != http.StatusRequestEntityTooLarge {
		return false
	}
	return status == http.StatusRequestEntityTooLarge || regexp.MustCompile(`(?i)prompt is too long|context length|`+
		`context window|context size|input is too long|too many (input )?tokens`).MatchString(text)
}

// After returns how long the provider asks to wait. It is 0 if it does not say so in seconds or milliseconds.
func After(h http.Header) time.Duration {
	if ms, err := strconv.ParseFloat(h.Get("Retry-After-Ms"), 64); err == nil && ms > 0 {
		return time.Duration(ms * float64(time.Millisecond))
	}
	v := h.Get("Retry-After")
	if s, err := strconv.ParseFloat(v, 64); err == nil && s > 0 {
		return time.Duration(s * float64(time.Second))
	}
	if at, err := http.ParseTime(v); err == nil {
		return max(0, time.Until(at))
	}
	return 0
}
