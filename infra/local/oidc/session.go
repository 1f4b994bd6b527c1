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

// sessionCookie identifies a browser's session, which lasts for an hour like Cognito's. maxSessions bounds the
// sessions.
const (
	sessionCookie = "carrel-issuer"
	sessionLife   = time.Hour
	maxSessions   = 1000
)

// session is a browser's sign-in. A later authorization of the same user keeps its time, unless the request requires a
// new sign-in. A page that needs a recent auth_time must therefore require one, as with other issuers.
type session struct {
	user     string
	signedIn time.Time
}

// reauth is what an authorization request requires of the sign-in: prompt and max_age (OpenID Connect Core 3.1.2.1).
type reauth struct {
	login  bool          // require a new sign-in
	silent bool          // show no page
	within time.Duration // maximum age of the sign-in
}

// parseReauth parses prompt and max_age. It returns the problem if they are invalid.
func parseReauth(q url.Values) (reauth, string) {
	a := reauth{within: sessionLife}
	prompts := strings.Fields(q.Get("prompt"))
	for _, p := range prompts {
		if !slices.Contains([]string{"none", "login", "consent", "select_account"}, p) {
			return a, fmt.Sprintf("prompt %q is unknown", p)
		}
	}
	a.silent, a.login = slices.Contains(prompts, "none"), slices.Contains(prompts, "login")
	if a.silent && len(prompts) > 1 {
		return a, "prompt none cannot be combined"
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

// session returns the browser's session if it satisfies the request.
func (i *Issuer) session(r *http.Request, a reauth) (session, bool) {
	cookie, err := r.Cookie(sessionCookie)
	if err != nil || a.login {
		return session{}, false
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	s, ok := i.sessions[cookie.Value]
	return s, ok && i.config.Now().Sub(s.signedIn) <= a.within
}

// signIn returns the browser's session if it is for this user and recent enough. Otherwise it replaces the session.
func (i *Issuer) signIn(w http.ResponseWriter, r *http.Request, a reauth, user string) session {
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
	expired := i.cookie("")
	expired.MaxAge = -1
	http.SetCookie(w, expired)
}

// cookie returns a cookie that only this issuer receives and that no script can read. It is not Secure, because the
// issuer uses http on this machine.
func (i *Issuer) cookie(id string) *http.Cookie {
	return &http.Cookie{Name: sessionCookie, Value: id, Path: i.base, HttpOnly: true, SameSite: http.SameSiteLaxMode}
}
