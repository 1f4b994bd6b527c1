// Package input proves that bad input harms nobody: malformed frames, bad tokens, foreign origins and wrong
// configuration are refused with a reason, and the sender's socket and all others go on. It holds tests only.
package input
