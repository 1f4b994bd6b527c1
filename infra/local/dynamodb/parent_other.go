//go:build !linux

package dynamodb

import "syscall"

func dieWithParent() *syscall.SysProcAttr { return nil }
