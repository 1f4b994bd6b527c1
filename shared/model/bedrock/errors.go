package bedrock

import (
	"errors"
	"net/http"
	"regexp"
	"strings"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"carrel/shared/engine"
	"carrel/shared/model/internal/exchange"
)

// errUnknown is the cause of a failure that the service has not described.
var errUnknown = errors.New("the service did not answer")

// failed returns the engine's error for an error of the SDK. The SDK's own text is left out, because the service
// repeats requests in it.
func (m *Model) failed(err error) error {
	var said exchange.Said
	var answered *smithyhttp.ResponseError
	if errors.As(err, &answered) && answered.Response != nil {
		h := answered.Response.Header
		said.Status, said.After, said.RequestID = answered.HTTPStatusCode(), exchange.After(h),
			h.Get("X-Amzn-Requestid")
	}
	var api smithy.APIError
	if !errors.As(err, &api) {
		if said.Status != 0 {
			return m.endpoint.Fail(engine.Overloaded, "the answer cannot be read", said)
		}
		return &engine.ModelError{Kind: engine.Overloaded, Cause: errors.Join(
			m.endpoint.Fail(engine.Overloaded, "the connection failed", said), errUnknown)}
	}
	said.Code, said.Text = api.ErrorCode(), api.ErrorMessage()
	return m.endpoint.Fail(kind(said), "", said)
}

// kind classifies an exception, which comes as an answer or inside a stream.
func kind(s exchange.Said) engine.Kind {
	text := func(pattern string) bool { return regexp.MustCompile(`(?i)` + pattern).MatchString(s.Text) }
	switch name := strings.ToLower(strings.TrimSuffix(s.Code, "Exception")); name {
	case "throttling", "modelnotready", "toomanyrequests":
		return engine.Throttled
	case "accessdenied", "resourcenotfound", "servicequotaexceeded", "unrecognizedclient", "expiredtoken",
		"invalidsignature":
		return engine.Refused
	case "validation":
		switch {
		case text(`too long|too many (input )?tokens|context (window|length)|maximum context`):
			return engine.TooLong
		case text(`model identifier is invalid|on-demand throughput|end of its life|not supported in this region`):
			return engine.Refused
		}
		return engine.Invalid
	}
	switch {
	case s.Status == http.StatusTooManyRequests:
		return engine.Throttled
	case s.Status == http.StatusUnauthorized, s.Status == http.StatusForbidden, s.Status == http.StatusNotFound:
		return engine.Refused
	case s.Status >= 400 && s.Status < 500 && s.Status != http.StatusRequestTimeout &&
		s.Status != http.StatusFailedDependency:
		return engine.Invalid
	}
	return engine.Overloaded
}
