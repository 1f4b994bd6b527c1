//go:build unix && !linux

package lambda

import (
	"os"
	"syscall"
)

// processAttributes makes the process a group leader. Only Linux can kill it when the host ends.
func processAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// awaitExit waits until the process has ended. Here this reaps the process, so its id can be reused before the caller
// knows.
func awaitExit(pid int) {
	if process, err := os.FindProcess(pid); err == nil {
		_, _ = process.Wait() // the command's Wait returns the error
	}
}

// awaitStop does nothing here: a process that was sent SIGSTOP may go on for a moment.
func awaitStop(int) {}
