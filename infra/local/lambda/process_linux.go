package lambda

import "syscall"

// processAttributes makes the process a group leader and makes the kernel kill it when the host ends.
func processAttributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

// awaitExit waits until the process has ended. It does not reap the process, so that its id is not reused yet.
func awaitExit(pid int) { await(pid, syscall.WEXITED) }

// awaitStop waits until all threads of a process that was sent SIGSTOP have stopped, or until the process has ended. On
// a busy machine the kernel takes its time, and until then the process goes on.
func awaitStop(pid int) { await(pid, syscall.WSTOPPED|syscall.WEXITED) }

func await(pid, events int) {
	const onePID = 1 // P_PID
	for {
		_, _, errno := syscall.Syscall6(syscall.SYS_WAITID, onePID, uintptr(pid), 0, uintptr(events|syscall.WNOWAIT),
			0, 0)
		if errno != syscall.EINTR {
			return // Wait reports every other error
		}
	}
}
