package engine

import "errors"

// ErrCancelled is the cancel cause of a run that its user stopped.
var ErrCancelled = errors.New("engine: the user stopped the run")

// The codes of RUN_ERROR.
const (
	CodeModel      = "model_error"
	CodeTimeLimit  = "time_limit"
	CodeModelCalls = "model_call_limit"
	CodeToolCalls  = "tool_call_limit"
	CodeEvents     = "event_limit"
	CodeOutput     = "output_limit"
	CodeInternal   = "internal"
	CodeDied       = "worker_died" // written by sweep
)
