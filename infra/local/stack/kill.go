package stack

import "carrel/infra/local/lambda"

// Host is the Lambda host, for faults in a test; Function names a function there by its logical id.
func (s *Stack) Host() *lambda.Host { return s.host }

// Function is the name of the function of this logical id; empty for none.
func (s *Stack) Function(logicalID string) string { return s.functionName(logicalID) }
