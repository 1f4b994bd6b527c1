package oidc

import (
	"crypto/rand"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// codeLife is how long a code waits to be exchanged; maxCodes is how many may wait.
const (
	codeLife = time.Minute
	maxCodes = 1000
)

// grant is what a code stands for.
type grant struct {
	client, redirect, challenge, nonce, scope, user string
	family                                          string // of its refresh tokens
	signedIn, made                                  time.Time
}

// view is what the page shows.
type view struct {
	Problem string
	Notice  string
	Users   []string
	Hint    string
}

// authorize shows the page (GET) and takes the choice (POST, to the same address, so that both check the same request).
func (i *Issuer) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	redirect := q.Get("redirect_uri")
	// Who asks must be known before anything is sent back to where it says.
	if q.Get("client_id") != i.config.ClientID {
		i.show(w, http.StatusBadRequest, view{Problem: "client_id is not " + i.config.ClientID + "."})
		return
	}
	if !loopback(redirect) {
		i.show(w, http.StatusBadRequest,
			view{Problem: "redirect_uri must be http://127.0.0.1 or http://localhost, without a fragment."})
		return
	}
	if code, problem := wrong(q); code != "" {
		back(w, r, redirect, url.Values{"error": {code}, "error_description": {problem}, "state": {q.Get("state")}})
		return
	}
	a, problem := readAgain(q)
	if problem != "" {
		back(w, r, redirect, url.Values{"error": {"invalid_request"}, "error_description": {problem},
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

// silently sends a code for the browser's session back, or that there is none, without a page.
func (i *Issuer) silently(w http.ResponseWriter, r *http.Request, q url.Values, a again) {
	s, ok := i.session(r, a)
	if !ok {
		back(w, r, q.Get("redirect_uri"), url.Values{"error": {"login_required"}, "state": {q.Get("state")},
			"error_description": {"no recent sign-in is known here: sign in on the page"}})
		return
	}
	i.sendCode(w, r, q, s)
}

// choose takes the name and sends its code back.
func (i *Issuer) choose(w http.ResponseWriter, r *http.Request, q url.Values, a again) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	user := strings.TrimSpace(r.PostFormValue("user"))
	scope := q.Get("scope")
	if _, err := i.Mint(Request{User: user, Scope: scope}); err != nil {
		i.show(w, http.StatusBadRequest, view{Problem: err.Error() + ".", Users: []string{"alice", "bob"}})
		return
	}
	i.sendCode(w, r, q, i.signIn(w, r, a, user))
}

// sendCode sends the browser back with a code for its session.
func (i *Issuer) sendCode(w http.ResponseWriter, r *http.Request, q url.Values, s session) {
	code := i.putCode(grant{client: q.Get("client_id"), redirect: q.Get("redirect_uri"),
		challenge: q.Get("code_challenge"),
		nonce:     q.Get("nonce"), scope: q.Get("scope"), user: s.user, signedIn: s.signedIn, made: i.config.Now()})
	back(w, r, q.Get("redirect_uri"), url.Values{"code": {code}, "state": {q.Get("state")}, "iss": {i.config.Issuer}})
}

// wrong says what an authorization request lacks, in OAuth's codes.
func wrong(q url.Values) (code, problem string) {
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

// back redirects with more in the query.
func back(w http.ResponseWriter, r *http.Request, redirect string, more url.Values) {
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

// putCode makes a code. Codes past their time go at each new one, so that none is kept for ever.
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

// takeCode uses a code up, whether or not what follows succeeds.
func (i *Issuer) takeCode(code string) (grant, bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	g, ok := i.codes[code]
	delete(i.codes, code)
	return g, ok && i.config.Now().Sub(g.made) <= codeLife
}

// endSession ends the browser's session and sends it back. Like Cognito it needs client_id and logout_uri; without them
// Cognito shows an error and keeps the session, so that the next sign-in is the same person's.
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
		back(w, r, target, url.Values{"state": {q.Get("state")}})
	}
}

// show writes the page. Browsers hold form-action against the redirect that follows, too.
func (i *Issuer) show(w http.ResponseWriter, status int, v view) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Referrer-Policy", "same-origin") // with no-referrer, browsers send the form with the Origin null
	h.Set("Content-Security-Policy",
		"default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'; "+
			"form-action 'self' http://127.0.0.1:* http://localhost:*")
	w.WriteHeader(status)
	_ = i.page.Execute(w, v) // the template is checked by a test; what is left is a browser that went away
}
