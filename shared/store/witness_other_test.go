//go:build !linux

package store_test

import "syscall"

func dieWithParent() *syscall.SysProcAttr { return nil }
