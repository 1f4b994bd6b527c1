package lambda

// Kill kills (SIGKILL) the processes of a function that are at work for a tenant, as a machine that fails does, and
// returns how many there were. Their invocations fail.
func (h *Host) Kill(function, tenant string) int {
	f := h.functions[function]
	if f == nil {
		return 0
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, e := range append([]*environment(nil), f.live...) {
		if e.current != nil && e.tenant == tenant {
			e.kill()
			n++
		}
	}
	return n
}
