package lambda

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"
)

const (
	version = "$LATEST"
	// unhandled is Lambda's classification of every error of a function that uses the Runtime API.
	unhandled = "Unhandled"

	maxSync     = 6 << 20
	maxAsync    = 1 << 20
	maxResponse = maxSync + 100 // Lambda's limit is 6291556
)

// errState is the error for a process that calls the Runtime API in the wrong state.
var errState = errors.New("the call does not fit the state of the environment")

// Error is Lambda's rejection of an invocation before the function receives it.
type Error struct {
	Code    string // value of X-Amzn-ErrorType
	Status  int    // HTTP status
	Message string
}

// Error implements error.
func (e *Error) Error() string { return e.Code + ": " + e.Message }

func notFound(arn string) *Error {
	return &Error{"ResourceNotFoundException", http.StatusNotFound, "Function not found: " + arn}
}

func throttled() *Error {
	return &Error{"TooManyRequestsException", http.StatusTooManyRequests, "Rate Exceeded."}
}

func recursive() *Error {
	return &Error{"RecursiveInvocationException", http.StatusBadRequest,
		"Recursive loop detected: the function was invoked too often in one chain"}
}

func invalidParameter(format string, args ...any) *Error {
	return &Error{"InvalidParameterValueException", http.StatusBadRequest, fmt.Sprintf(format, args...)}
}

func tooLarge(limit int) *Error {
	return &Error{"RequestTooLargeException", http.StatusRequestEntityTooLarge,
		fmt.Sprintf("Request must be smaller than %d bytes for the InvokeFunction operation", limit)}
}

func notJSON() *Error {
	return &Error{"InvalidRequestContentException", http.StatusBadRequest, "Could not parse request body into json"}
}

// failed returns the outcome of an invocation without a response of the function.
func failed(kind, message string) outcome {
	payload, err := json.Marshal(struct {
		Type    string `json:"errorType"`
		Message string `json:"errorMessage"`
	}{kind, message})
	return outcome{payload: payload, functionError: unhandled, err: err}
}

func timedOut(id string, after time.Duration) outcome {
	return failed("Sandbox.Timedout", fmt.Sprintf("RequestId: %s Error: Task timed out after %.2f seconds", id,
		after.Seconds()))
}

// exited returns the outcome if the process ended or could not be started. cause is nil for exit status 0.
func exited(id string, cause error) outcome {
	if cause == nil {
		return failed("Runtime.ExitError", "RequestId: "+id+" Error: Runtime exited without providing a reason")
	}
	return failed("Runtime.ExitError", fmt.Sprintf("RequestId: %s Error: Runtime exited with error: %v", id, cause))
}

func responseTooLarge() outcome {
	return failed("Function.ResponseSizeTooLarge",
		fmt.Sprintf("Response payload size exceeded maximum allowed payload size (%d bytes).", maxResponse))
}
