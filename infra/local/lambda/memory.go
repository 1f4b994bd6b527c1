package lambda

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"time"
)

// memoryInterval is the interval between checks of the processes' memory.
const memoryInterval = 100 * time.Millisecond

// watchMemory kills processes that use more memory than their function's limit, until the host closes.
func (h *Host) watchMemory() {
	tick := time.NewTicker(memoryInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-h.ctx.Done():
			return
		}
		h.mu.RLock()
		list := make([]*environment, 0, len(h.environments))
		for _, e := range h.environments {
			list = append(list, e)
		}
		h.mu.RUnlock()
		for _, e := range list {
			if used := e.limitMemory(); used > 0 {
				h.log(e.function.Name, fmt.Sprintf("lambda: process killed: it used %d MB of %d MB", used,
					e.function.MemoryMB))
			}
		}
	}
}

// limitMemory kills the process if it exceeds its limit, and then returns its use in MiB; otherwise 0. A frozen process
// is not checked, because it cannot grow.
func (e *environment) limitMemory() int {
	e.function.mu.Lock()
	defer e.function.mu.Unlock()
	if !e.started || e.killed || e.frozen {
		return 0
	}
	used := residentMB(e.command.Process.Pid)
	if used <= e.function.MemoryMB {
		return 0
	}
	e.kill()
	return used
}

// residentMB returns a process's resident memory in MiB. It returns 0 on systems without /proc, which disables the
// limit.
func residentMB(pid int) int {
	statm, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0
	}
	fields := bytes.Fields(statm)
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.Atoi(string(fields[1]))
	if err != nil {
		return 0
	}
	return pages * os.Getpagesize() >> 20
}
