package lambda

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// admit returns the function if Lambda would accept the invocation.
func (h *Host) admit(name, tenant string, payload []byte, limit int) (*function, error) {
	f := h.functions[h.bareName(name)]
	switch {
	case f == nil:
		return nil, notFound(h.arn(name))
	case f.PerTenant && tenant == "":
		return nil, invalidParameter("function %s has tenant isolation: invoke it with a tenant id", f.Name)
	case !f.PerTenant && tenant != "":
		return nil, invalidParameter("function %s has no tenant isolation: invoke it without a tenant id", f.Name)
	case !validTenant(tenant):
		return nil, invalidParameter("the tenant id must have 1 to 256 letters, digits, spaces or ._:/=+-@")
	case len(payload) > limit:
		return nil, tooLarge(limit)
	case len(payload) > 0 && !json.Valid(payload):
		return nil, notJSON()
	}
	return f, nil
}

// bareName returns the function's name for every form that the API accepts: a name, an ARN of this Region and account,
// or account:function:name, each with or without the version. Other input is returned unchanged, so no function is
// found.
func (h *Host) bareName(name string) string {
	name = strings.TrimSuffix(name, ":"+version)
	name = strings.TrimPrefix(name, h.arn(""))
	return strings.TrimPrefix(name, h.config.Account+":function:")
}

// validTenant reports whether an id matches Lambda's pattern ^[a-zA-Z0-9\._:\/=+\-@ ]+$ and length. It accepts "".
func validTenant(id string) bool {
	if len(id) > 256 {
		return false
	}
	for _, c := range []byte(id) {
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		if !letter && (c < '0' || c > '9') && !strings.ContainsRune("._:/=+-@ ", rune(c)) {
			return false
		}
	}
	return true
}

func (h *Host) serveInvoke(w http.ResponseWriter, r *http.Request) {
	kind, limit := r.Header.Get("X-Amz-Invocation-Type"), maxSync
	if kind == "Event" {
		limit = maxAsync
	}
	payload, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(limit)))
	if err != nil {
		refuseInvoke(w, newID(), bodyError(err, limit))
		return
	}
	if h.config.Allow != nil {
		if code, message := h.config.Allow(r, payload, h.arn(h.bareName(r.PathValue("function")))); code != "" {
			h.log("", fmt.Sprintf("lambda: an invocation of %q is refused: %s: %s", r.PathValue("function"), code,
				message))
			refuseInvoke(w, newID(), &Error{code, http.StatusForbidden, message})
			return
		}
	}
	tenant := r.Header.Get("X-Amz-Tenant-Id")
	f, err := h.admit(r.PathValue("function"), tenant, payload, limit)
	if err == nil && r.URL.Query().Get("Qualifier") != "" && r.URL.Query().Get("Qualifier") != version {
		err = notFound(h.arn(f.Name) + ":" + r.URL.Query().Get("Qualifier"))
	}
	if err != nil {
		refuseInvoke(w, newID(), err)
		return
	}
	inv := h.newInvocation(f, tenant, r.Header.Get("X-Amzn-Trace-Id"), payload)
	switch kind {
	case "", "RequestResponse":
		answerInvoke(w, inv.id, f.call(r.Context(), inv))
	case "Event":
		if err := h.submit(f, inv); err != nil {
			refuseInvoke(w, inv.id, err)
			return
		}
		respond(w, inv.id, http.StatusAccepted, nil)
	case "DryRun":
		respond(w, inv.id, http.StatusNoContent, nil)
	default:
		refuseInvoke(w, inv.id, invalidParameter("X-Amz-Invocation-Type %q is not RequestResponse, Event or DryRun",
			kind))
	}
}

func bodyError(err error, limit int) error {
	if tooMuch := (*http.MaxBytesError)(nil); errors.As(err, &tooMuch) {
		return tooLarge(limit)
	}
	return &Error{"InvalidRequestContentException", http.StatusBadRequest, "The request body could not be read"}
}

func answerInvoke(w http.ResponseWriter, id string, out outcome) {
	if out.err != nil {
		refuseInvoke(w, id, out.err)
		return
	}
	if out.functionError != "" {
		w.Header().Set("X-Amz-Function-Error", out.functionError)
	}
	w.Header().Set("X-Amz-Executed-Version", version)
	respond(w, id, http.StatusOK, out.payload)
}

// refuseInvoke writes an error in the format that the SDKs decode.
func refuseInvoke(w http.ResponseWriter, id string, err error) {
	refused := (*Error)(nil)
	if !errors.As(err, &refused) {
		refused = &Error{"ServiceException", http.StatusInternalServerError, err.Error()}
	}
	kind := "User"
	if refused.Status >= http.StatusInternalServerError {
		kind = "Service"
	}
	body, _ := json.Marshal(struct { // cannot fail: all fields are strings
		Type    string
		Message string
		Reason  string `json:",omitempty"`
	}{kind, refused.Message, reason(refused)})
	w.Header().Set("X-Amzn-ErrorType", refused.Code)
	respond(w, id, refused.Status, body)
}

func reason(e *Error) string {
	if e.Status == http.StatusTooManyRequests {
		return "ReservedFunctionConcurrentInvocationLimitExceeded"
	}
	return ""
}

func respond(w http.ResponseWriter, id string, status int, body []byte) {
	w.Header().Set("X-Amzn-RequestId", id)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body) // a write error means that the caller has disconnected
}
