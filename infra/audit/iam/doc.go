// Package iam proves what the policies of the template allow: every method of the store is called for one user with the
// credentials of everybody else, before a real table. It holds tests only.
package iam
