package lambda

import (
	"context"
	"fmt"
)

// Kill kills the processes of a function that work for a tenant at this moment, as a machine that fails does, and
// returns how many they were once they are gone. Their invocations fail. tenant is "" for a function without tenant
// isolation.
func (h *Host) Kill(ctx context.Context, function, tenant string) (int, error) {
	f := h.functions[function]
	if f == nil {
		return 0, fmt.Errorf("lambda: there is no function %q to kill", function)
	}
	f.mu.Lock()
	var killed []*environment
	for _, e := range f.live {
		if e.tenant == tenant && e.current != nil && e.started && !e.killed {
			killed = append(killed, e)
		}
	}
	for _, e := range killed {
		e.kill()
	}
	f.mu.Unlock()
	for _, e := range killed {
		select {
		case <-e.gone:
		case <-ctx.Done():
			return 0, fmt.Errorf("lambda: waiting for the end of a killed process: %w", ctx.Err())
		}
	}
	return len(killed), nil
}
