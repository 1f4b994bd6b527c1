package sts

import (
	"bytes"
	"crypto/rand"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"carrel/infra/local/iam"
	"carrel/infra/local/sigv4"
)

const (
	minDuration        = 15 * time.Minute
	maxChainedDuration = time.Hour // for a role that is assumed with the credentials of another role
	defaultDuration    = time.Hour
	maxTags            = 50
	maxTagKey          = 128
	maxTag             = 256
	maxBody            = 64 << 10
)

// refusal is an error response of STS.
type refusal struct {
	status        int
	code, message string
}

// Error returns "code: message".
func (r *refusal) Error() string { return r.code + ": " + r.message }

func invalid(format string, args ...any) *refusal {
	return &refusal{http.StatusBadRequest, "ValidationError", fmt.Sprintf(format, args...)}
}

// assumption holds the parameters of an AssumeRole request.
type assumption struct {
	role, session string
	duration      time.Duration
	tags          map[string]string // by key in lower case
	keys          []string          // of tags, in the caller's spelling
}

// ServeHTTP serves AssumeRole in AWS's query protocol.
func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	r.Body = io.NopCloser(bytes.NewReader(body))
	if err = errors.Join(err, r.ParseForm()); err != nil {
		answerError(w, &refusal{http.StatusBadRequest, "MalformedInput", "the request could not be read"})
		return
	}
	a, c, err := s.assume(r, body)
	if refused := (*refusal)(nil); errors.As(err, &refused) {
		answerError(w, refused)
		return
	}
	type result struct {
		AccessKeyID     string `xml:"Credentials>AccessKeyId"`
		SecretAccessKey string `xml:"Credentials>SecretAccessKey"`
		SessionToken    string `xml:"Credentials>SessionToken"`
		Expiration      string `xml:"Credentials>Expiration"`
		RoleID          string `xml:"AssumedRoleUser>AssumedRoleId"`
		ARN             string `xml:"AssumedRoleUser>Arn"`
	}
	answer(w, http.StatusOK, struct {
		XMLName   xml.Name `xml:"https://sts.amazonaws.com/doc/2011-06-15/ AssumeRoleResponse"`
		Result    result   `xml:"AssumeRoleResult"`
		RequestID string   `xml:"ResponseMetadata>RequestId"`
	}{Result: result{c.id, c.secret, c.token, c.expires.UTC().Format(time.RFC3339), "AROALOCAL:" + a.session,
		sessionARN(a)},
		RequestID: rand.Text()})
}

func answerError(w http.ResponseWriter, r *refusal) {
	answer(w, r.status, struct {
		XMLName   xml.Name `xml:"https://sts.amazonaws.com/doc/2011-06-15/ ErrorResponse"`
		Type      string   `xml:"Error>Type"`
		Code      string   `xml:"Error>Code"`
		Message   string   `xml:"Error>Message"`
		RequestID string   `xml:"RequestId"`
	}{Type: "Sender", Code: r.code, Message: r.message, RequestID: rand.Text()})
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "text/xml")
	w.WriteHeader(status)
	_ = xml.NewEncoder(w).Encode(v) // a write error means that the client has disconnected
}

// assume authorizes a request and issues the credentials. Its error is a *refusal.
func (s *Service) assume(r *http.Request, body []byte) (assumption, credentials, error) {
	if action := r.Form.Get("Action"); action != "AssumeRole" {
		return assumption{}, credentials{}, &refusal{http.StatusBadRequest, "InvalidAction",
			"Could not find operation " + action + " for version 2011-06-15"}
	}
	if err := s.signed(r, body); err != nil {
		return assumption{}, credentials{}, err
	}
	caller, err := s.Authenticate(AccessKey(r.Header.Get("Authorization")), r.Header.Get("X-Amz-Security-Token"))
	if errors.Is(err, ErrExpired) {
		return assumption{}, credentials{}, &refusal{http.StatusForbidden, "ExpiredToken",
			"The security token included in the request is expired"}
	}
	if err != nil {
		return assumption{}, credentials{}, &refusal{http.StatusForbidden, "InvalidClientTokenId",
			"The security token included in the request is invalid."}
	}
	a, err := parseAssumeRole(r.Form)
	if err != nil {
		return a, credentials{}, err
	}
	role, known := s.roles[a.role]
	actions := []string{"sts:AssumeRole"}
	if len(a.tags) > 0 {
		actions = append(actions, "sts:TagSession")
	}
	for _, action := range actions {
		// A missing role gets the same error, so that a caller without permission does not learn which roles exist.
		if !known || !permitted(caller, role, a, action) {
			return a, credentials{}, &refusal{http.StatusForbidden, "AccessDenied",
				fmt.Sprintf("User: %s is not authorized to perform: %s on resource: %s", caller.ARN, action, a.role)}
		}
	}
	if a.duration > role.MaxSession {
		return a, credentials{},
			invalid("The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
	}
	if a.duration > maxChainedDuration { // every caller here acts with a role already
		return a, credentials{}, invalid("The requested DurationSeconds exceeds the 1 hour session limit for roles " +
			"assumed by role chaining.")
	}
	p := Principal{Name: caller.Name, ARN: sessionARN(a), Role: a.role, Policy: role.Policy, Tags: a.tags}
	return a, s.issue(p, s.Origin(r.Header.Get("X-Amz-Security-Token")), a.duration), nil
}

// signed returns a *refusal unless the request has a valid signature by its access key.
func (s *Service) signed(r *http.Request, body []byte) error {
	switch err := s.verifier.Verify(r, body); {
	case errors.Is(err, sigv4.ErrMissing):
		return &refusal{http.StatusForbidden, "MissingAuthenticationToken", "Request is missing Authentication Token"}
	case errors.Is(err, sigv4.ErrUnknown):
		return &refusal{http.StatusForbidden, "InvalidClientTokenId",
			"The security token included in the request is invalid."}
	case err != nil:
		return &refusal{http.StatusForbidden, "SignatureDoesNotMatch", err.Error()}
	}
	return nil
}

// permitted reports whether the role's trust policy and the caller's own policy both allow the action.
func permitted(caller Principal, role Role, a assumption, action string) bool {
	r := iam.Request{Action: action, Resource: a.role, Context: caller.Context()}
	for key, value := range a.tags {
		r.Context["aws:requesttag/"+key] = []string{value}
	}
	r.Context["aws:tagkeys"] = a.keys
	r.Context["sts:rolesessionname"] = []string{a.session}
	return role.Trust.Trusts(caller.Role, r) == iam.Allow && caller.Policy.Decide(r) == iam.Allow
}

// parseAssumeRole parses a request. Tag keys are compared without regard to case.
func parseAssumeRole(form url.Values) (assumption, error) {
	a := assumption{role: form.Get("RoleArn"), session: form.Get("RoleSessionName"), duration: defaultDuration,
		tags: map[string]string{}}
	if err := checkParameters(form); err != nil {
		return a, err
	}
	if text := form.Get("DurationSeconds"); text != "" {
		seconds, err := strconv.Atoi(text)
		if err != nil {
			return a, &refusal{http.StatusBadRequest, "MalformedInput", "DurationSeconds is not a number"}
		}
		a.duration = time.Duration(seconds) * time.Second
	}
	switch {
	case a.duration < minDuration:
		return a, invalid("1 validation error detected: Value '%d' at 'durationSeconds' failed to satisfy constraint: "+
			"Member must have value greater than or equal to 900", int(a.duration.Seconds()))
	case !regexp.MustCompile(`^[\w+=,.@-]{2,64}$`).MatchString(a.session):
		return a, invalid("1 validation error detected: Value '%s' at 'roleSessionName' failed to satisfy constraint: "+
			"Member must satisfy regular expression pattern: [\\w+=,.@-]*", a.session)
	case len(a.role) < 20:
		return a, invalid("1 validation error detected: Value '%s' at 'roleArn' failed to satisfy constraint: "+
			"Member must have length greater than or equal to 20", a.role)
	}
	allowed := regexp.MustCompile(`^[\p{L}\p{Z}\p{N}_.:/=+\-@]*$`)
	for n := 1; ; n++ {
		at := "Tags.member." + strconv.Itoa(n)
		if !form.Has(at + ".Key") {
			return a, nil
		}
		key, value := strings.ToLower(form.Get(at+".Key")), form.Get(at+".Value")
		if _, twice := a.tags[key]; twice || n > maxTags {
			return a, &refusal{http.StatusBadRequest, "InvalidParameterValue",
				"Duplicate tag keys found, or too many. Please note that Tag keys are case insensitive."}
		}
		if key == "" || len(key) > maxTagKey || len(value) > maxTag || !allowed.MatchString(key) ||
			!allowed.MatchString(value) {
			return a, invalid("1 validation error detected: the tag %q at 'tags' failed to satisfy its constraint", key)
		}
		a.tags[key], a.keys = value, append(a.keys, form.Get(at+".Key"))
	}
}

// checkParameters rejects parameters that this package does not implement. Ignoring one could grant more than AWS does:
// a session policy, for example, restricts the session.
func checkParameters(form url.Values) error {
	parameter := regexp.MustCompile(
		`^(Action|Version|RoleArn|RoleSessionName|DurationSeconds|Tags\.member\.\d+\.(Key|Value))$`)
	for name := range form {
		if !parameter.MatchString(name) {
			return invalid("the local STS does not support the parameter %s: implement it in infra/local/sts", name)
		}
	}
	return nil
}

// sessionARN returns the ARN of the session: for the role arn:aws:iam::1:role/name and the session s it is
// arn:aws:sts::1:assumed-role/name/s.
func sessionARN(a assumption) string { return SessionARN(a.role, a.session) }

// SessionARN returns the ARN of a session of a role.
func SessionARN(role, session string) string {
	arn := strings.Replace(role, ":iam:", ":sts:", 1)
	return strings.Replace(arn, ":role/", ":assumed-role/", 1) + "/" + session
}

// AccessKey returns the access key id in a SigV4 Authorization header, or "".
func AccessKey(authorization string) string {
	_, rest, _ := strings.Cut(authorization, "Credential=")
	id, _, _ := strings.Cut(rest, "/")
	return id
}
