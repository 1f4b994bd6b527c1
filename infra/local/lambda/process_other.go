//go:build unix && !linux

package lambda

import (
	"os"
	"syscall"
)

// processAttributes make the process the leader of a group. Only Linux can have it die with the host.
func processAttributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// awaitExit returns when the process has ended. Here that reaps it, and leaves a moment in which its id may be another's.
func awaitExit(pid int) {
	if process, err := os.FindProcess(pid); err == nil {
		_, _ = process.Wait() // Wait of the command reports it
	}
}
