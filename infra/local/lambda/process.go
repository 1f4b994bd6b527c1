package lambda

import (
	"bytes"
	"fmt"
	"maps"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"time"
)

// maxLine is the maximum size of a log event in CloudWatch. Longer lines are split.
const maxLine = 256 << 10

// newCommand returns the command for the process, with its own process group and without the host's environment.
func (e *environment) newCommand() *exec.Cmd {
	command := exec.Command(e.binary)
	command.Dir = filepath.Dir(e.binary)
	command.Env = e.variables()
	command.SysProcAttr = processAttributes()
	command.WaitDelay = time.Second // limits the wait for a child that left the group and still holds the pipe
	return command
}

// variables returns Lambda's variables and the template's. The last ones cannot be set by a template.
func (e *environment) variables() []string {
	f := e.function
	root := filepath.Dir(e.binary)
	all := map[string]string{
		"PATH":               "/usr/local/bin:/usr/bin:/bin:/opt/bin",
		"LANG":               "en_US.UTF-8",
		"TZ":                 ":UTC",
		"LAMBDA_TASK_ROOT":   root,
		"AWS_REGION":         f.host.config.Region,
		"AWS_DEFAULT_REGION": f.host.config.Region,
		// Set here, because the address is known only once the host listens.
		"AWS_ENDPOINT_URL_LAMBDA": f.host.url,
	}
	for name, value := range f.Env {
		all[name] = value
	}
	if more := f.host.currentFaults().Env; more != nil {
		maps.Copy(all, more(f.Name, e.tenant))
	}
	if all["AWS_ACCESS_KEY_ID"] != "" {
		// Lambda's temporary credentials have a session token too. Here it identifies the environment: see Serving.
		all["AWS_SESSION_TOKEN"] = e.id
	}
	all["_HANDLER"] = "bootstrap"
	all["AWS_LAMBDA_RUNTIME_API"] = f.host.addr + "/" + e.id
	all["AWS_LAMBDA_FUNCTION_NAME"] = f.Name
	all["AWS_LAMBDA_FUNCTION_VERSION"] = version
	all["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] = strconv.Itoa(f.MemoryMB)
	all["AWS_LAMBDA_INITIALIZATION_TYPE"] = "on-demand"
	all["AWS_LAMBDA_LOG_GROUP_NAME"] = "/aws/lambda/" + f.Name
	all["AWS_LAMBDA_LOG_STREAM_NAME"] = fmt.Sprintf("[%s]%s", version, e.id)
	list := make([]string, 0, len(all))
	for name, value := range all {
		list = append(list, name+"="+value)
	}
	return list
}

// lineWriter passes its input on line by line.
type lineWriter struct {
	write func(line string)

	mu   sync.Mutex
	rest []byte
}

// Write implements io.Writer.
func (w *lineWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rest = append(w.rest, p...)
	for {
		line, rest, ended := bytes.Cut(w.rest, []byte("\n"))
		if !ended && len(line) < maxLine {
			return len(p), nil
		}
		if len(line) > maxLine {
			line, rest = w.rest[:maxLine], w.rest[maxLine:]
		}
		w.write(string(line))
		w.rest = rest
	}
}

// flush writes a last line that has no newline.
func (w *lineWriter) flush() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.rest) > 0 {
		w.write(string(w.rest))
		w.rest = nil
	}
}
