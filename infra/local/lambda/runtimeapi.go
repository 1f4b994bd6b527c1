package lambda

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"
)

// routes serves the Lambda API and, below each environment's id, its Runtime API.
func (h *Host) routes() http.Handler {
	const runtime = "/{environment}/2018-06-01/runtime/"
	mux := http.NewServeMux()
	mux.HandleFunc("POST /2015-03-31/functions/{function}/invocations", h.serveInvoke)
	mux.HandleFunc("GET "+runtime+"invocation/next", h.ofEnvironment(serveNext))
	mux.HandleFunc("POST "+runtime+"invocation/{id}/response", h.ofEnvironment(serveResponse))
	mux.HandleFunc("POST "+runtime+"invocation/{id}/error", h.ofEnvironment(serveError))
	mux.HandleFunc("POST "+runtime+"init/error", h.ofEnvironment(serveInitError))
	return mux
}

func (h *Host) ofEnvironment(serve func(*environment, http.ResponseWriter, *http.Request)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		h.mu.RLock()
		e := h.environments[r.PathValue("environment")]
		h.mu.RUnlock()
		if e == nil {
			refuseRuntime(w, http.StatusNotFound, "UnknownEnvironment")
			return
		}
		serve(e, w, r)
	}
}

func serveNext(e *environment, w http.ResponseWriter, r *http.Request) {
	inv, err := e.next(r.Context())
	if err != nil {
		refuseRuntime(w, http.StatusForbidden, "InvalidStateTransition")
		return
	}
	f, header := e.function, w.Header()
	header.Set("Content-Type", "application/json")
	header.Set("Lambda-Runtime-Aws-Request-Id", inv.id)
	header.Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(time.Now().Add(f.Timeout).UnixMilli(), 10))
	header.Set("Lambda-Runtime-Invoked-Function-Arn", f.host.arn(f.Name))
	header.Set("Lambda-Runtime-Trace-Id", inv.trace)
	if inv.tenant != "" {
		header.Set("Lambda-Runtime-Aws-Tenant-Id", inv.tenant)
	}
	header.Set("Content-Length", strconv.Itoa(len(inv.payload)))
	_, _ = w.Write(inv.payload) // a process that cannot be written to is dead, and its exit is what counts
}

func serveResponse(e *environment, w http.ResponseWriter, r *http.Request) {
	payload, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxResponse))
	if tooMuch := (*http.MaxBytesError)(nil); errors.As(err, &tooMuch) {
		if err := e.answer(r.PathValue("id"), responseTooLarge()); err != nil {
			refuseRuntime(w, http.StatusBadRequest, "InvalidRequestID")
			return
		}
		refuseRuntime(w, http.StatusRequestEntityTooLarge, "RequestEntityTooLarge")
		return
	}
	settle(e, w, r, outcome{payload: payload, err: err})
}

func serveError(e *environment, w http.ResponseWriter, r *http.Request) {
	payload, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxResponse))
	settle(e, w, r, outcome{payload: payload, functionError: unhandled, err: err})
}

// settle ends the invocation that the request names, unless its body broke off: then the process is on its way out.
func settle(e *environment, w http.ResponseWriter, r *http.Request, out outcome) {
	if out.err != nil {
		refuseRuntime(w, http.StatusBadRequest, "InvalidRequestBody")
		return
	}
	if err := e.answer(r.PathValue("id"), out); err != nil {
		refuseRuntime(w, http.StatusBadRequest, "InvalidRequestID")
		return
	}
	accept(w)
}

func serveInitError(e *environment, w http.ResponseWriter, r *http.Request) {
	payload, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxResponse))
	if err == nil {
		err = e.failInit(payload)
	}
	if err != nil {
		refuseRuntime(w, http.StatusForbidden, "InvalidStateTransition")
		return
	}
	accept(w)
}

func accept(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusAccepted)
	_, _ = io.WriteString(w, `{"status":"OK"}`+"\n") // as for every answer to a process: its exit is what counts
}

func refuseRuntime(w http.ResponseWriter, status int, kind string) {
	body, _ := json.Marshal(map[string]string{"errorType": kind, "errorMessage": errState.Error()}) // strings cannot fail
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body)
}
