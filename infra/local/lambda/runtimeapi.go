package lambda

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"
)

// routes serves the Lambda API, and the Runtime API of each environment below its id.
func (h *Host) routes() http.Handler {
	const runtime = "/{environment}/2018-06-01/runtime/"
	mux := http.NewServeMux()
	mux.HandleFunc("POST /2015-03-31/functions/{function}/invocations", h.serveInvoke)
	mux.HandleFunc("GET "+runtime+"invocation/next", h.forEnvironment(serveNext))
	mux.HandleFunc("POST "+runtime+"invocation/{id}/response", h.forEnvironment(serveResponse))
	mux.HandleFunc("POST "+runtime+"invocation/{id}/error", h.forEnvironment(serveError))
	mux.HandleFunc("POST "+runtime+"init/error", h.forEnvironment(serveInitError))
	return mux
}

func (h *Host) forEnvironment(serve func(*environment, http.ResponseWriter, *http.Request)) http.HandlerFunc {
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
	_, _ = w.Write(inv.payload) // a write error means that the process is dead; its exit ends the invocation
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

// settle ends the named invocation, unless the request's body was incomplete: then the process is about to end.
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
	_, _ = io.WriteString(w, `{"status":"OK"}`+"\n") // a write error means that the process is dead
}

func refuseRuntime(w http.ResponseWriter, status int, kind string) {
	body, _ := json.Marshal(map[string]string{"errorType": kind, "errorMessage": errState.Error()}) // cannot fail
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body)
}
