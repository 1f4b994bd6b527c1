// Package lifecycle proves the life of threads, sessions and users over a whole local stack: lists, run headers,
// deletion, sign-out and the erasure of a user. It holds tests only.
package lifecycle
