// Package iam proves which requests the policies of the template allow: every method of the store is called for one
// user with all other credentials, before a real table. It holds tests only.
package iam
