// Package limits proves the limits of the stack at their edges: floods of frames, many sockets of one user, and the
// largest events. It holds tests only.
package limits
