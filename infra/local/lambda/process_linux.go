package lambda

import "syscall"

// processAttributes makes the process a group leader and makes the kernel kill it when the host ends.
func processAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// awaitExit waits until the process has ended. It does not reap the process, so that its id is not reused yet.
func awaitExit(pid int) {
	const onePID = 1 // P_PID
	for {
		_, _, errno := syscall.Syscall6(syscall.SYS_WAITID, onePID, uintptr(pid), 0, syscall.WEXITED|syscall.WNOWAIT,
			0, 0)
		if errno != syscall.EINTR {
			return // Wait reports every other error
		}
	}
}
