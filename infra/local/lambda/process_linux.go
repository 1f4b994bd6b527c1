package lambda

import "syscall"

// processAttributes make the process the leader of a group, and have the kernel kill it when the host dies.
func processAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// awaitExit returns when the process has ended and leaves it to be reaped, so that its id names nothing else until then.
func awaitExit(pid int) {
	const onePID = 1 // P_PID
	for {
		_, _, errno := syscall.Syscall6(syscall.SYS_WAITID, onePID, uintptr(pid), 0, syscall.WEXITED|syscall.WNOWAIT, 0, 0)
		if errno != syscall.EINTR {
			return // Wait reports every other error
		}
	}
}
