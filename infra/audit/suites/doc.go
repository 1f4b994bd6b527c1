// Package suites holds the four suites of the isolation audit over a whole local stack: many users at once, their
// devices, what their sessions leave behind, and their errors. AUDIT sets the size. It holds tests only.
package suites
