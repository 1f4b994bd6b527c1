package store_test

import "syscall"

// dieWithParent makes the kernel kill the child when this process ends for any reason.
func dieWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
