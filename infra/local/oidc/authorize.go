package oidc

import (
	"crypto/rand"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// codeLife is how long a code is valid; maxCodes is how many unused codes are kept.
const (
	codeLife = time.Minute
	maxCodes = 1000
)

// grant holds what an authorization code, or a refresh token, authorizes.
type grant struct {
	client, redirect, challenge, nonce, scope, user string
	family                                          string // identifies the refresh tokens of one sign-in
	signedIn, made                                  time.Time
}

// view is the data of the sign-in page.
type view struct {
	Problem string
	Notice  string
	Users   []string
	Hint    string
}

// authorize shows the sign-in page for GET. The page posts the choice to the same address, so both check the same
// request.
func (i *Issuer) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	redirect := q.Get("redirect_uri")
	// The client and its address must be verified before any redirect to that address.
	if q.Get("client_id") != i.config.ClientID {
		i.show(w, http.StatusBadRequest, view{Problem: "client_id is not " + i.config.ClientID + "."})
		return
	}
	if !loopback(redirect) {
		i.show(w, http.StatusBadRequest,
			view{Problem: "redirect_uri must be http://127.0.0.1 or http://localhost, without a fragment."})
		return
	}
	if code, problem := checkRequest(q); code != "" {
		redirectBack(w, r, redirect, url.Values{"error": {code}, "error_description": {problem},
			"state": {q.Get("state")}})
		return
	}
	a, problem := parseReauth(q)
	if problem != "" {
		redirectBack(w, r, redirect, url.Values{"error": {"invalid_request"}, "error_description": {problem},
			"state": {q.Get("state")}})
		return
	}
	if a.silent {
		i.silently(w, r, q, a)
		return
	}
	if r.Method == http.MethodGet {
		i.show(w, http.StatusOK, view{Users: []string{"alice", "bob", "carol", "dave", "erin"},
			Hint: q.Get("login_hint")})
		return
	}
	i.choose(w, r, q, a)
}

// silently redirects with a code for the browser's session, or with an error if there is none. It shows no page.
func (i *Issuer) silently(w http.ResponseWriter, r *http.Request, q url.Values, a reauth) {
	s, ok := i.session(r, a)
	if !ok {
		redirectBack(w, r, q.Get("redirect_uri"), url.Values{"error": {"login_required"}, "state": {q.Get("state")},
			"error_description": {"no recent sign-in: sign in on the page"}})
		return
	}
	i.sendCode(w, r, q, s)
}

// choose signs in the user that was chosen on the page and redirects with a code.
func (i *Issuer) choose(w http.ResponseWriter, r *http.Request, q url.Values, a reauth) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	user := strings.TrimSpace(r.PostFormValue("user"))
	scope := q.Get("scope")
	if _, err := i.Mint(Request{User: user, Scope: scope}); err != nil {
		i.show(w, http.StatusBadRequest, view{Problem: err.Error() + ".", Users: []string{"alice", "bob"}})
		return
	}
	i.sendCode(w, r, q, i.signIn(w, r, a, user))
}

// sendCode redirects with a code for the session.
func (i *Issuer) sendCode(w http.ResponseWriter, r *http.Request, q url.Values, s session) {
	code := i.putCode(grant{client: q.Get("client_id"), redirect: q.Get("redirect_uri"),
		challenge: q.Get("code_challenge"), nonce: q.Get("nonce"), scope: q.Get("scope"), user: s.user,
		signedIn: s.signedIn, made: i.config.Now()})
	redirectBack(w, r, q.Get("redirect_uri"), url.Values{"code": {code}, "state": {q.Get("state")},
		"iss": {i.config.Issuer}})
}

// checkRequest returns OAuth's error code and a description for an invalid authorization request, or "".
func checkRequest(q url.Values) (code, problem string) {
	switch {
	case q.Get("response_type") != "code":
		return "unsupported_response_type", "response_type must be code"
	case q.Get("code_challenge_method") != "S256" ||
		!regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`).MatchString(q.Get("code_challenge")):
		return "invalid_request", "PKCE is required: code_challenge with code_challenge_method S256"
	case !strings.Contains(" "+q.Get("scope")+" ", " openid "):
		return "invalid_scope", "scope must contain openid"
	}
	return "", ""
}

// redirectBack redirects to an address with more query parameters.
func redirectBack(w http.ResponseWriter, r *http.Request, redirect string, more url.Values) {
	u, err := url.Parse(redirect)
	if err != nil {
		http.Error(w, "redirect: "+err.Error(), http.StatusBadRequest)
		return
	}
	q := u.Query()
	for name, values := range more {
		if values[0] != "" {
			q.Set(name, values[0])
		}
	}
	u.RawQuery = q.Encode()
	http.Redirect(w, r, u.String(), http.StatusSeeOther)
}

// putCode stores a new code and deletes expired ones.
func (i *Issuer) putCode(g grant) string {
	code := rand.Text()
	i.mu.Lock()
	defer i.mu.Unlock()
	for other, old := range i.codes {
		if len(i.codes) >= maxCodes || i.config.Now().Sub(old.made) > codeLife {
			delete(i.codes, other)
		}
	}
	i.codes[code] = g
	return code
}

// takeCode returns the grant of a valid code. The code cannot be used again, even if the exchange fails.
func (i *Issuer) takeCode(code string) (grant, bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	g, ok := i.codes[code]
	delete(i.codes, code)
	return g, ok && i.config.Now().Sub(g.made) <= codeLife
}

// endSession ends the browser's session and redirects. Like Cognito it requires client_id and logout_uri. Without them
// Cognito shows an error and keeps the session, so that the next sign-in is for the same user.
func (i *Issuer) endSession(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	target := q.Get("logout_uri")
	switch {
	case q.Get("client_id") != i.config.ClientID:
		i.show(w, http.StatusBadRequest, view{Problem: "client_id is not " + i.config.ClientID + "."})
	case !loopback(target):
		i.show(w, http.StatusBadRequest, view{Problem: "logout_uri must be http://127.0.0.1 or http://localhost."})
	case q.Has("post_logout_redirect_uri") && q.Get("post_logout_redirect_uri") != target:
		i.show(w, http.StatusBadRequest, view{Problem: "post_logout_redirect_uri is not logout_uri."})
	default:
		i.signOut(w, r)
		redirectBack(w, r, target, url.Values{"state": {q.Get("state")}})
	}
}

// show writes the page. Its form-action lists the addresses of the later redirect, because browsers check those too.
func (i *Issuer) show(w http.ResponseWriter, status int, v view) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Referrer-Policy", "same-origin") // with no-referrer, browsers send the form with the Origin null
	h.Set("Content-Security-Policy",
		"default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'; "+
			"form-action 'self' http://127.0.0.1:* http://localhost:*")
	w.WriteHeader(status)
	_ = i.page.Execute(w, v) // a test checks the template, so an error means that the browser has disconnected
}
