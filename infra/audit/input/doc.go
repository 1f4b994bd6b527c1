// Package input proves that bad input has no effect: malformed frames, bad tokens, foreign origins and wrong
// configuration are refused with a reason, and the sender's socket and all others stay open. It holds tests only.
package input
