package dynamodb

import "syscall"

// dieWithParent has the kernel kill the child when this process ends, however it ends. In a group of its own the child
// does not get the terminal's Ctrl-C: functions still write while the stack ends.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
