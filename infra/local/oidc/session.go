package oidc

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// sessionCookie keeps a browser's session, for an hour as Cognito's does; maxSessions bounds how many there are.
const (
	sessionCookie = "carrel-issuer"
	sessionLife   = time.Hour
	maxSessions   = 1000
)

// session is a browser's sign-in. A further authorization for its user keeps its time, unless the request asks for a
// new sign-in: so a page that needs a recent auth_time must ask for one, here as at other issuers.
type session struct {
	user     string
	signedIn time.Time
}

// again reads how old a sign-in may be for a request: prompt and max_age (OpenID Connect Core 3.1.2.1).
type again struct {
	login  bool // a new sign-in, in any case
	silent bool // no page may be shown
	within time.Duration
}

// readAgain reads prompt and max_age. It returns the problem of a request with wrong ones.
func readAgain(q url.Values) (again, string) {
	a := again{within: sessionLife}
	prompts := strings.Fields(q.Get("prompt"))
	for _, p := range prompts {
		if !slices.Contains([]string{"none", "login", "consent", "select_account"}, p) {
			return a, fmt.Sprintf("prompt %q is unknown", p)
		}
	}
	a.silent, a.login = slices.Contains(prompts, "none"), slices.Contains(prompts, "login")
	if a.silent && len(prompts) > 1 {
		return a, "prompt none stands alone"
	}
	if text := q.Get("max_age"); text != "" {
		seconds, err := strconv.Atoi(text)
		if err != nil || seconds < 0 {
			return a, "max_age must be a number of seconds"
		}
		a.within = min(a.within, time.Duration(seconds)*time.Second)
		a.login = a.login || seconds == 0
	}
	return a, ""
}

// session returns the browser's session if it is good enough for the request.
func (i *Issuer) session(r *http.Request, a again) (session, bool) {
	cookie, err := r.Cookie(sessionCookie)
	if err != nil || a.login {
		return session{}, false
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	s, ok := i.sessions[cookie.Value]
	return s, ok && i.config.Now().Sub(s.signedIn) <= a.within
}

// signIn returns the browser's session if it is this user's and recent enough. Otherwise it replaces it by a new one.
func (i *Issuer) signIn(w http.ResponseWriter, r *http.Request, a again, user string) session {
	if s, ok := i.session(r, a); ok && s.user == user {
		return s
	}
	i.signOut(w, r)
	s, id := session{user: user, signedIn: i.config.Now()}, rand.Text()
	i.mu.Lock()
	defer i.mu.Unlock()
	for other, old := range i.sessions {
		if len(i.sessions) >= maxSessions || i.config.Now().Sub(old.signedIn) > sessionLife {
			delete(i.sessions, other)
		}
	}
	i.sessions[id] = s
	http.SetCookie(w, i.cookie(id))
	return s
}

// signOut ends the browser's session.
func (i *Issuer) signOut(w http.ResponseWriter, r *http.Request) {
	cookie, err := r.Cookie(sessionCookie)
	if err != nil {
		return
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	delete(i.sessions, cookie.Value)
	gone := i.cookie("")
	gone.MaxAge = -1
	http.SetCookie(w, gone)
}

// cookie is one of this issuer alone, which no script reads. It has no Secure, because the issuer is http on this
// machine.
func (i *Issuer) cookie(id string) *http.Cookie {
	return &http.Cookie{Name: sessionCookie, Value: id, Path: i.base, HttpOnly: true, SameSite: http.SameSiteLaxMode}
}
