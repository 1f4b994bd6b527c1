package client_test

import "testing"

// An erase succeeds even if the refusal of an earlier request, or the done, overtakes its accepted.
func TestView_EraseOvertaken(t *testing.T) {
	for name, frame := range map[string]string{
		"refusal of a run":    `{"type":"rejected","runId":"r1","code":"erasing","message":"later"}`,
		"refusal of a cancel": `{"type":"error","requestId":"cancel.r1","code":"erasing","message":"later"}`,
		"done":                `{"type":"done"}`,
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlayer()
			ready := `< {"type":"ready","n":1,"connectionId":"c1","threadId":"t1","epoch":"e1","head":0,` +
				`"recovered":false,"queued":[],"interrupts":[],"limits":{},"reconnectInMs":0}`
			for _, line := range []string{"open t1", "connect", ready, "send r1 hi", "cancel r1"} {
				if err := p.step(line); err != nil {
					t.Fatal(err)
				}
			}
			answer, err := p.view.EraseCall(p.now)
			if err != nil {
				t.Fatal(err)
			}
			p.collect()
			if err := p.step("< " + frame); err != nil {
				t.Fatal(err)
			}
			if answered, refused := answer(); !answered || refused != nil {
				t.Errorf("the erase is answered: %t, refused with %+v", answered, refused)
			}
		})
	}
}
