package lambda_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"carrel/infra/local/lambda"
)

// running reports whether a process runs. It returns false for a zombie, which an orphan stays until it is reaped.
func running(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, state, _ := strings.Cut(string(stat), ") ")
	return err == nil && !strings.HasPrefix(state, "Z")
}

// hostVariable, if it is set, makes the test binary run a host until it is killed.
const hostVariable = "CARREL_TEST_HOST"

func hostUntilKilled() {
	h, err := lambda.Start(context.Background(), lambda.Config{Addr: "127.0.0.1:0",
		Functions: []lambda.Function{plain("one")}})
	if err != nil {
		panic(err)
	}
	body, _, err := h.Invoke(context.Background(), "one", nil)
	fmt.Println(string(body), err)
	select {}
}

func TestHost_Killed(t *testing.T) {
	host := exec.Command(os.Args[0])
	host.Env = append(os.Environ(), hostVariable+"=1")
	out, err := host.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := host.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err != nil {
		t.Errorf("read the host's line: %v", err)
	}
	if err := host.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = host.Wait() // returns the error that the process was killed
	pid := parse(t, []byte(strings.TrimSuffix(strings.TrimSpace(string(line)), " <nil>"))).PID
	eventually(t, "the function's process has ended", func() bool { return !running(pid) })
}
