package dynamodb

import "syscall"

// dieWithParent makes the kernel kill the child when this process ends for any reason. The child gets a process group
// of its own, so that Ctrl-C in the terminal does not reach it: functions still write while the stack stops.
func dieWithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
